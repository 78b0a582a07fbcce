//! Nothing stands here: the tests are in `suites/`, one executable for all of them.
