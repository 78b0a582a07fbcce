//! The kernel's own words about a refused request (include/uapi/linux/netlink.h, `nlmsgerr_attrs`).

/// `NLMSGERR_ATTR_MSG`: a sentence.
const MESSAGE: u16 = 1;
/// `NLMSGERR_ATTR_MISS_TYPE`: the number of an attribute that is required and absent.
const MISSING_TYPE: u16 = 5;
/// The header of the refused request, which the kernel echoes first. With `NETLINK_CAP_ACK` that
/// is all it echoes.
const ECHOED_HEADER: usize = 16;

/// Finds the sentence in what follows an error's code. `echo` is that payload.
pub fn text(echo: &[u8]) -> Option<String> {
    let mut rest = echo.get(ECHOED_HEADER..)?;
    while let Some((head, _)) = rest.split_at_checked(4) {
        let [l0, l1, k0, k1] = *head else { return None };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & 0x3fff;
        let value = rest.get(4..length)?;
        match (kind, value) {
            (MESSAGE, _) => {
                let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
                return Some(String::from_utf8_lossy(value.get(..end)?).into_owned());
            }
            (MISSING_TYPE, &[a, b, c, d]) => {
                let number = u32::from_ne_bytes([a, b, c, d]);
                return Some(format!("attribute {number} is missing"));
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_sentence_is_found_behind_the_echoed_header_and_other_attributes() {
        let mut echo = vec![0; 16];
        echo.extend(attribute(2, &[1, 0, 0, 0]));
        echo.extend(attribute(1, b"Attribute failed policy validation\0"));
        assert_eq!(text(&echo).as_deref(), Some("Attribute failed policy validation"));
    }

    #[test]
    fn nonsense_gives_no_sentence() {
        assert_eq!(text(&[]), None);
        assert_eq!(text(&[0; 16]), None);
        let mut echo = vec![0; 16];
        echo.extend([255, 255, 1, 0, b'x']);
        assert_eq!(text(&echo), None);
        let mut endless = vec![0; 16];
        endless.extend([0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(text(&endless), None);
    }
}
