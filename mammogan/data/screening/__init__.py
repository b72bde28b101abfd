"""Why an image is refused or flagged: rules on its header, and rules on its pixels."""
