"""The model that a user gives: an ordinary Hugging Face folder, taken as it is or refused."""
