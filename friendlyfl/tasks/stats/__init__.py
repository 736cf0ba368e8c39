"""The statistical tasks. One method a module; what they share is in newton, basis, likelihood, inference, wording."""
