"""The real readers of a dotenv file, each as it is shipped; `make setup` installs them."""
