"""Charts as SVG, with the standard library alone: panels of bars, lines over logarithmic axes, panels of curves.

Used by scripts/bench_report.py and scripts/tasks_report.py. Every chart has a white background, so that it reads on
light and dark pages alike.
"""
import math
from html import escape

INK, GREY, GRID = "#222222", "#666666", "#e3e3e3"


def text(x, y, content, size=12, anchor="start", colour=INK, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" {more}>'
            f"{escape(str(content))}</text>")


def line(x1, y1, x2, y2, colour=INK, width=1.0, dash=""):
    dash = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dash}/>')


def number(value):
    """A number for an axis or a bar: three digits that matter, thousands by commas."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{digits}f}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def short_number(value):
    """The same with k for thousands, where there is little room."""
    return f"{value / 1000:,.3g}k" if 1000 <= value < 999500 else number(value)


def document(width, height, title, subtitle, comment, body):
    head = [f"<!-- {escape(comment)} -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'role="img" font-family="Helvetica, Arial, sans-serif">',
            f"<title>{escape(title)}</title>", f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            text(16, 26, title, 16, more='font-weight="bold"'), text(16, 44, subtitle, 11, colour=GREY)]
    return "\n".join(head + body + ["</svg>"]) + "\n"


def legend(entries, y):
    """Entries (name, colour, dash, filled) in a row."""
    body, x = [], 16
    for name, colour, dash, filled in entries:
        if filled:
            body.append(f'<rect x="{x}" y="{y - 10}" width="14" height="11" fill="{colour}"/>')
        else:
            body.append(line(x - 2, y - 4, x + 20, y - 4, colour, 2, dash))
        body.append(text(x + (20 if filled else 26), y, name))
        x += 48 + 6.6 * len(name)
    return body


def linear_ticks(top, wanted=4):
    step = 10.0**math.floor(math.log10(top / wanted))
    step *= next(f for f in (1, 2, 2.5, 5, 10) if top / (step * f) <= wanted)
    return [step * i for i in range(int(top / step * 1.0001) + 1)]


def bar_panels(title, subtitle, comment, y_label, colours, limit_label, panels):
    """Side by side, each with its own axis. colours: {series: colour}. A panel is (name, groups), a group (name,
    {series: value}, limit): the limit, or None, is drawn as a dashed line over the group, or only named if it is more
    than three times as high as every bar."""
    panel_width, left, top, bottom = 264, 62, 96, 340
    width, height = 24 + panel_width * len(panels), 386
    used = {series for _, groups in panels for _, bars, _ in groups for series in bars}
    entries = [(series, colour, "", True) for series, colour in colours.items() if series in used]
    if any(limit for _, groups in panels for _, _, limit in groups):
        entries.append((limit_label, INK, "5 3", False))
    width = max(width, int(32 + sum(48 + 6.6 * len(entry[0]) for entry in entries)), int(32 + 6 * len(subtitle)))
    body = legend(entries, 68)
    for index, (name, groups) in enumerate(panels):
        x0, x1 = index * panel_width + left, (index + 1) * panel_width + 8
        far = 3 * max(value for _, bars, _ in groups for value in bars.values())
        highest = 1.08 * max(max([limit if limit and limit <= far else 0, *bars.values()]) for _, bars, limit in groups)
        y_of = lambda value: bottom - value / highest * (bottom - top)
        body.append(text((x0 + x1) / 2, top - 6, name, 13, "middle", more='font-weight="bold"'))
        for tick in linear_ticks(highest):
            body += [line(x0, y_of(tick), x1, y_of(tick), GRID),
                     text(x0 - 5, y_of(tick) + 4, short_number(tick), 11, "end", GREY)]
        pitch = (x1 - x0) / len(groups)
        for place, (group, bars, limit) in enumerate(groups):
            begin, space = x0 + place * pitch, pitch - 14
            bar = min(34, space / max(1, len(bars)))
            start = begin + (pitch - bar * len(bars)) / 2
            shown = [(start + i * bar, colours[s], bars[s]) for i, s in enumerate(s for s in colours if s in bars)]
            body += [f'<rect x="{x + 1:.1f}" y="{y_of(value):.1f}" width="{bar - 2:.1f}" '
                     f'height="{bottom - y_of(value):.1f}" fill="{colour}"/>' for x, colour, value in shown]
            if limit and limit <= far:
                body.append(line(begin + 5, y_of(limit), begin + pitch - 5, y_of(limit), INK, 1.5, "5 3"))
            elif limit:
                body.append(text(begin + pitch / 2, bottom + 31, f"limit: {short_number(limit)}", 10, "middle", GREY))
            # A white edge keeps the numbers readable where the limit crosses them.
            body += [text(x + bar / 2, y_of(value) - 4, short_number(value), 9.5, "middle",
                          more='stroke="#ffffff" stroke-width="3" paint-order="stroke"') for x, _, value in shown]
            body.append(text(begin + pitch / 2, bottom + 17, group, 12, "middle"))
        body.append(line(x0, bottom, x1, bottom))
    body.append(text(18, (top + bottom) / 2, y_label, 12, "middle",
                     more=f'transform="rotate(-90 18 {(top + bottom) / 2})"'))
    return document(width, height, title, subtitle, comment, body)


def log_lines(title, subtitle, comment, x_label, y_label, series):
    """Lines over logarithmic axes, powers of two below and of ten beside. A series is (name, colour, dash, points)."""
    width, height, left, right, top, bottom = 760, 460, 84, 736, 88, 400
    width = max(width, int(32 + sum(48 + 6.6 * len(s[0]) for s in series)), int(32 + 6 * len(subtitle)))
    xs = sorted({x for *_, points in series for x, _ in points})
    ys = [y for *_, points in series for _, y in points]
    x_low, x_high = math.log2(xs[0]), max(math.log2(xs[-1]), math.log2(xs[0]) + 1)
    y_low, y_high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    y_high = max(y_high, y_low + 1)
    x_of = lambda x: left + 14 + (math.log2(x) - x_low) / (x_high - x_low) * (right - left - 28)
    y_of = lambda y: bottom - (math.log10(y) - y_low) / (y_high - y_low) * (bottom - top)
    body = legend([(name, colour, dash, False) for name, colour, dash, _ in series], 68)
    for decade in range(y_low, y_high + 1):
        y = y_of(10.0**decade)
        body += [line(left, y, right, y, GRID), text(left - 7, y + 4, number(10.0**decade), 11, "end", GREY)]
    for x in xs:
        body += [line(x_of(x), top, x_of(x), bottom, GRID), text(x_of(x), bottom + 18, f"{x:,}", 11, "middle", GREY)]
    body += [line(left, bottom, right, bottom), line(left, top, left, bottom)]
    for _, colour, dash, points in series:
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in sorted(points))
        more = f' stroke-dasharray="{dash}"' if dash else ""
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{more}/>')
        body += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    body.append(text((left + right) / 2, bottom + 42, x_label, 12, "middle"))
    body.append(text(20, (top + bottom) / 2, y_label, 12, "middle",
                     more=f'transform="rotate(-90 20 {(top + bottom) / 2})"'))
    return document(width, height, title, subtitle, comment, body)


def curve_panels(title, subtitle, comment, x_label, limit_label, panels, columns=2):
    """Curves with bands around them, each panel with its own axes. A panel is (name, y label, series, limit), a series
    (name, colour, dash, points), a point (x, low, middle, high); the limit, or None, is a dashed line across."""
    panel_width, panel_height, left, right, top, bottom = 470, 300, 66, 452, 40, 232
    seen = {name: (name, colour, dash, False) for _, _, series, _ in panels for name, colour, dash, _ in series}
    entries = list(seen.values())
    if any(limit is not None for *_, limit in panels):
        entries.append((limit_label, GREY, "2 3", False))
    width = max(panel_width * min(columns, len(panels)) + 10, int(32 + sum(48 + 6.6 * len(e[0]) for e in entries)),
                int(32 + 6 * len(subtitle)))
    height = 84 + panel_height * math.ceil(len(panels) / columns)
    body = legend(entries, 68)
    for index, (name, y_label, series, limit) in enumerate(panels):
        at_x, at_y = index % columns * panel_width, 76 + index // columns * panel_height
        x0, x1, y0, y1 = at_x + left, at_x + right, at_y + top, at_y + bottom
        points = [point for *_, found in series for point in found]
        values = [value for _, *band in points for value in band] + ([] if limit is None else [limit])
        x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
        low, high = min(values), max(values)
        space = 0.06 * (high - low) or 0.01
        low, high = low - space, high + space
        x_of = lambda x: x0 + 8 + (x - x_low) / max(1, x_high - x_low) * (x1 - x0 - 16)
        y_of = lambda y: y1 - (y - low) / (high - low) * (y1 - y0)
        body.append(text((x0 + x1) / 2, y0 - 10, name, 13, "middle", more='font-weight="bold"'))
        step = linear_ticks(high - low)[1]
        for i in range(math.ceil(low / step), math.floor(high / step) + 1):
            body += [line(x0, y_of(i * step), x1, y_of(i * step), GRID),
                     text(x0 - 6, y_of(i * step) + 4, f"{i * step:.3g}", 11, "end", GREY)]
        for tick in linear_ticks(x_high, 6):
            if tick >= x_low:
                body.append(text(x_of(tick), y1 + 16, f"{tick:,.0f}", 11, "middle", GREY))
        if limit is not None:
            body.append(line(x0, y_of(limit), x1, y_of(limit), GREY, 1.5, "2 3"))
        place = lambda pairs: " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in pairs)
        for _, colour, _, found in series:
            band = [(x, b) for x, _, _, b in found] + [(x, a) for x, a, _, _ in reversed(found)]
            body.append(f'<polygon points="{place(band)}" fill="{colour}" fill-opacity="0.15"/>')
        for _, colour, dash, found in series:
            more = f' stroke-dasharray="{dash}"' if dash else ""
            curve = place((x, middle) for x, _, middle, _ in found)
            body.append(f'<polyline points="{curve}" fill="none" stroke="{colour}" stroke-width="2"{more}/>')
        body += [line(x0, y1, x1, y1), line(x0, y0, x0, y1), text((x0 + x1) / 2, y1 + 34, x_label, 12, "middle"),
                 text(at_x + 18, (y0 + y1) / 2, y_label, 12, "middle",
                      more=f'transform="rotate(-90 {at_x + 18} {(y0 + y1) / 2})"')]
    return document(width, height, title, subtitle, comment, body)
