"""Messages to other programs at the end of jobs, as Standard Webhooks (https://www.standardwebhooks.com) has them."""
