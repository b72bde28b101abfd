"""Working out what a folder of pictures holds, for somebody who has no recipe for it yet."""
