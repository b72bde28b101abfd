"""What a run costs: operations and bytes counted, devices, a measured calibration, and the estimate."""
