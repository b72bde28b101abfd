"""What builds the documentation site: references and drawings from the code, links, an offline check."""
