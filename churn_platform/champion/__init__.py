"""Champion: which version serves, who decided that, and on what grounds."""
