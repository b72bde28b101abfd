"""The process group's variables, from what each scheduler tells."""

from __future__ import annotations

from mammogan.cluster.rank_environment import variables


def test_slurm_gives_ranks_and_the_batch_script_the_address_and_port():
    environ = {
        "SUBMITIT_EXECUTOR": "slurm",
        "SLURM_PROCID": "5",
        "SLURM_NTASKS": "8",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "1",
        "MAMMOGAN_MASTER_ADDR": "10.0.0.7",
        "MAMMOGAN_MASTER_PORT": "12345",
        "MAMMOGAN_CPUS": "4",
    }
    assert variables(environ) == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "10.0.0.7",
        "MASTER_PORT": "12345",
        "OMP_NUM_THREADS": "4",
    }


def test_local_jobs_take_the_port_that_their_launcher_chose():
    local = {
        "SUBMITIT_EXECUTOR": "local",
        "SUBMITIT_LOCAL_GLOBALID": "1",
        "SUBMITIT_LOCAL_NTASKS": "2",
        "SUBMITIT_LOCAL_LOCALID": "1",
        "SUBMITIT_LOCAL_NODEID": "0",
        "MAMMOGAN_MASTER_PORT": "12345",
    }
    found = variables(local)
    assert (found["RANK"], found["WORLD_SIZE"], found["MASTER_PORT"]) == ("1", "2", "12345")


def test_by_hand_is_a_group_of_one_even_inside_an_allocation():
    found = variables({"SLURM_JOB_ID": "7", "SLURM_PROCID": "3", "SLURM_NTASKS": "4"})
    assert (found["RANK"], found["WORLD_SIZE"], found["MASTER_ADDR"]) == ("0", "1", "127.0.0.1")
    assert "OMP_NUM_THREADS" not in found
