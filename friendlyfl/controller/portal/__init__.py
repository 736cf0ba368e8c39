"""The portal: pages for people, calling `actions` and showing records. No decision and no network here."""
