"""Reports as pages: self-contained HTML that opens offline, with pictures."""
