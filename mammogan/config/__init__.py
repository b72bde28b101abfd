"""What can be set, who owns it, and the merge of method, dataset and site into one frozen run."""
