from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
import typer

from watchkeeper.cli import main
from watchkeeper.cli.policy_options import PolicyOptions
from watchkeeper.policies.rollouts import RolloutPolicy


def test_given_a_policy_when_its_settings_are_options_then_each_has_its_type_and_text() -> None:
    names = tuple(field.name for field in fields(RolloutPolicy))

    parameters = {
        option.name: option for option in PolicyOptions(RolloutPolicy, names).parameters()
    }

    assert tuple(parameters) == names
    for name, kind in get_type_hints(RolloutPolicy).items():
        accepted, option = get_args(parameters[name].annotation)
        assert isinstance(option, typer.models.OptionInfo)
        assert option.help is not None
        assert option.help.endswith(".")
        if kind in {int, float, bool, str}:
            assert get_args(accepted) == (kind, type(None))


def test_given_some_options_when_taken_then_the_others_leave_the_settings_of_the_model() -> None:
    options = PolicyOptions(RolloutPolicy, ("steps", "min_samples", "failover"))
    arguments = {"name": "june", "steps": "5,100", "min_samples": None, "failover": None}

    assert options.taken(arguments) == {"steps": ["5", "100"]}
    assert arguments == {"name": "june"}


def test_given_a_bad_value_when_a_rollout_is_planned_then_the_setting_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rollouts", "plan", "--requests-per-hour", "1000", "--steps", "1,x"]) == 2
    assert "error: steps.1 is 'x'; expected a valid number" in capsys.readouterr().err
    assert main(["rollouts", "plan", "--requests-per-hour", "1000", "--initial", "0"]) == 2
    assert "error: " in capsys.readouterr().err
