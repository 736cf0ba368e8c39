"""How dates look, by language, where Django's own way is not the portal's: one folder a language."""
