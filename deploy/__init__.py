"""What the pipeline is deployed with, and the linter of its policies. No part of the product."""
