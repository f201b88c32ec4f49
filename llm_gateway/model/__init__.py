"""Values and rules without a host: checks, dotenv files, passwords, and how a model is asked."""
