"""Many runs: what a sweep expands to, who trains it, how far it is, what it found."""
