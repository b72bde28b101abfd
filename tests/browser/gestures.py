"""Fingers on glass: touches by Chromium's own protocol, which a page can't tell from those of a hand."""


class Fingers:
    """Fingers on a page."""

    def __init__(self, page):
        self._session = page.context.new_cdp_session(page)

    def _send(self, kind, points=()):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def pinch(self, centre, before_px, after_px, steps=8, drift=(0, 0)):
        """Spread two fingers from one distance to another, and move both by `drift`."""
        x, y = centre
        for step in range(steps + 1):
            part = step / steps
            half = (before_px + (after_px - before_px) * part) / 2
            cx, cy = x + drift[0] * part, y + drift[1] * part
            self._send("touchMove" if step else "touchStart", [(cx - half, cy), (cx + half, cy)])
        self._send("touchEnd")

    def drag(self, start, end, steps=6):
        """Move one finger."""
        for step in range(steps + 1):
            part = step / steps
            point = tuple(a + (b - a) * part for a, b in zip(start, end, strict=True))
            self._send("touchMove" if step else "touchStart", [point])
        self._send("touchEnd")

    def tap(self, point, times=1):
        """Tap, twice for a double tap."""
        for _ in range(times):
            self._send("touchStart", [point])
            self._send("touchEnd")

    def cancel(self, points):
        """Begin a touch that the system takes away, as by a notification."""
        self._send("touchStart", points)
        self._send("touchCancel")


def middle(page, selector):
    """Give the middle of an element."""
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
