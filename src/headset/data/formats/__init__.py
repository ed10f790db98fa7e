"""One file per format; each has ``parse(stream)``, a :data:`headset.data.row.Parser`."""
