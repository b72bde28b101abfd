"""What all pages and figures share: templates, number formats, colours and image sheets."""
