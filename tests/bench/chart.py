"""A bar chart of medians, as SVG: one bar a measurement, one group a question, on a logarithmic scale."""
import html
import math

COLOURS = {'floor': '#8a8f98', 'podwire': '#c2410c', 'reference': '#4b77be'}
WIDTH, LEFT, RIGHT, BAR, GAP = 760, 220, 90, 18, 14


def groups(medians):
    """The measurements by what they answer: `podwire ipMasq ADD` belongs to `ipMasq ADD`. What begins with no suite's name is ours
    alone."""
    found = {}
    for name, value in medians.items():
        suite, question = name.split(' ', 1)
        if suite not in COLOURS:
            suite, question = 'podwire', name
        found.setdefault(question, []).append((suite, value))
    return found


def svg(medians):
    low = 10 ** math.floor(math.log10(min(medians.values())))
    high = 10 ** math.ceil(math.log10(max(medians.values())))

    def across(value):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))

    body, y = [], 48
    for question, bars in groups(medians).items():
        body.append(f'<text x="{LEFT - 10}" y="{y + BAR * len(bars) / 2 + 4:.0f}" text-anchor="end">{html.escape(question)}</text>')
        for suite, value in bars:
            body.append(f'<rect x="{LEFT}" y="{y}" width="{across(value) - LEFT:.1f}" height="{BAR - 3}" fill="{COLOURS[suite]}">'
                        f'<title>{suite}: {value:.2f} ms</title></rect>')
            body.append(f'<text x="{across(value) + 5:.1f}" y="{y + 12}">{value:.{1 if value < 100 else 0}f} ms</text>')
            y += BAR
        y += GAP
    lines, tick = [], low
    while tick <= high:
        lines.append(f'<line x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="40" y2="{y}" stroke="#ddd"/>')
        lines.append(f'<text x="{across(tick):.1f}" y="{y + 16}" text-anchor="middle">{tick:g} ms</text>')
        tick *= 10
    key, x = [], LEFT
    for suite, colour in COLOURS.items():
        key.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="24">{suite}</text>')
        x += 110
    height = y + 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + '\n'.join(lines + key + body) + '\n</svg>\n')
