"""The churn platform: monthly drops in, predictions that can be trusted out."""
