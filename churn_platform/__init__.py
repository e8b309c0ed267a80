"""The churn platform: monthly drops in, trustworthy predictions out."""
