"""The steps that deploy.py and verify.py are made of, one module a concern."""
