"""Each promise of the README about a gate or a safety net stands there in these words and has its tests by name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = " ".join((ROOT / "README.md").read_text().split())

# What the README says, and the tests that hold it to that: `file::test`, below tests/.
PROMISES: dict[str, tuple[str, ...]] = {
    "the second model meets the first one on the same rows": (
        "unit/models/test_evaluate.py::test_better_challenger_beats_the_champion",
        "unit/models/test_evaluate.py::test_challenger_equal_to_the_champion_is_held",
        "unit/models/test_evaluate.py::test_champion_that_was_fitted_on_test_rows_is_no_comparator",
    ),
    "names the first step at which two runs of one contract and time made something else": (
        "unit/reports/test_compare.py::test_first_difference_is_named_with_its_step",
    ),
    "builds a registered version again from its record and compares it the same way": (
        "pipelines/test_version_record.py::test_version_is_built_again_on_one_core_with_other_seed_zone_and_locale",
        "pipelines/test_version_record.py::test_first_output_that_differs_is_the_one_whose_input_does",
        "pipelines/test_version_record.py::test_edited_file_of_the_registry_is_named",
        "pipelines/test_version_record.py::test_edited_snapshot_is_named",
    ),
    "tells the chain behind a version or an answer": (
        "pipelines/test_version_record.py::test_chain_behind_a_version_names_each_stage_and_its_file",
        "pipelines/test_version_record.py::test_answer_is_told_with_its_inputs_and_what_moved_it",
    ),
    "checks the contract and the features beside it: every fault at once, with line and nearest name": (
        "unit/base/test_problem.py::test_contract_with_ten_faults_shows_ten_messages",
        "unit/base/test_problem.py::test_every_fault_names_its_line",
    ),
    "the same `as_of` gives the same bytes": ("unit/data/test_ingest.py::test_same_as_of_gives_the_same_bytes",),
    "types, ranges, keys, references, freshness, volume": (
        "unit/data/test_classify_rows.py::test_reasons_say_what_must_hold_and_what_came",
        "unit/data/test_measures.py::test_freshness_is_the_age_of_the_newest_row",
        "unit/data/test_measures.py::test_newest_whole_month_is_compared_with_the_median_of_earlier_ones",
        "unit/data/test_validate.py::test_all_broken_limits_are_in_one_error",
    ),
    "sets bad rows aside with their reasons": (
        "unit/data/test_classify_rows.py::test_rows_in_are_accepted_filtered_or_quarantined",
        "unit/data/test_validate.py::test_quarantined_rows_keep_text_origin_and_all_reasons",
        "unit/data/test_validate.py::test_too_many_quarantined_rows_stop_the_run_with_the_worst_reasons_and_leave_the_files",
    ),
    "each row stamped with the time at which it was known": (
        "unit/features/test_build_leakage.py::test_cutting_off_the_sources_changes_no_earlier_row",
        "unit/features/test_build_leakage.py::test_cutting_off_real_flights_changes_no_earlier_row",
    ),
    "split by time with a gap": (
        "unit/features/test_prepare_roles.py::test_roles_follow_each_other_with_a_gap_that_covers_every_label",
        "unit/features/test_prepare_roles.py::test_a_label_within_the_gap_never_decides_whether_a_row_is_in_test",
    ),
    "test rows in an output of their own, which no step before evaluate is given": (
        "pipelines/test_training.py::test_no_step_before_evaluate_is_given_test_rows",
        "unit/features/test_prepare.py::test_folder_without_test_rows_holds_none_of_them",
        "unit/features/test_prepare.py::test_test_rows_are_refused_where_they_are_not_given",
    ),
    "a critical one stops the run unless the contract accepts it": (
        "pipelines/test_training.py::test_nothing_is_fitted_before_explore_has_accepted_the_rows",
        "unit/features/test_explore.py"
        "::test_leak_that_the_contract_does_not_accept_stops_the_run_and_leaves_its_picture",
        "unit/features/test_explore.py::test_leak_that_the_contract_accepts_by_name_keeps_the_reason",
    ),
    "one that proposes a limit becomes a check of the contract by `make adopt`": (
        "unit/data/test_adopted_checks.py::test_row_that_breaks_an_adopted_limit_goes_to_quarantine",
        "unit/data/test_adopted_checks.py::test_rows_that_break_an_adopted_limit_together_stop_the_run",
        "unit/pipelines/test_adopt_command.py::test_finding_is_written_into_the_contract_and_shown",
    ),
    "the same trials on any number of cores": (
        "unit/models/test_reproducible.py"
        "::test_search_and_model_are_the_same_on_one_core_and_on_two_wherever_the_machine_is",
        "pipelines/test_tuning_loop.py::test_a_step_for_each_family_makes_what_one_process_makes",
    ),
    "then the recipe fitted again on train and validation": (
        "unit/models/test_refit.py::test_recipe_is_fitted_again_on_train_and_validation_rows",
        "unit/models/test_refit.py::test_model_whose_outputs_would_move_stays_as_it_was_judged",
    ),
    "the recipe once more on all rows, served unless it answers otherwise than the judged model": (
        "unit/models/test_refit.py::test_accepted_release_serves_its_recipe_fitted_on_all_roles",
        "unit/models/test_refit.py::test_newest_rows_that_mean_the_opposite_keep_the_judged_model",
        "unit/models/test_refit.py::test_more_decisions_that_flip_than_the_contract_allows_keep_the_judged_model",
        "unit/models/test_refit.py::test_release_that_is_not_accepted_or_not_to_be_refitted_serves_what_was_judged",
    ),
    "opens the test rows once": (
        "unit/models/test_steps.py::test_every_other_model_that_opened_the_same_test_rows_is_counted",
        "unit/models/test_steps.py::test_model_that_is_judged_again_opens_nothing_new",
        "unit/models/test_evaluate.py::test_each_earlier_opening_halves_the_error_that_an_interval_may_make",
        "unit/models/test_gates.py::test_gain_that_the_first_opening_proves_is_not_proven_by_the_third",
        "unit/models/test_evaluate.py::test_verdict_says_how_often_the_test_rows_were_opened",
        "unit/models/test_evaluate.py::test_model_that_selection_did_not_choose_may_not_open_the_test",
    ),
    "intervals, slices, worst cases, gates against baselines and champion": (
        "unit/models/test_gates.py::test_both_gains_must_be_proven_against_the_current_solution",
        "unit/models/test_gates.py::test_gain_over_the_best_constant_decision_decides",
        "unit/models/test_gates.py::test_guard_vetoes_beyond_its_limit",
        "unit/models/test_gates.py::test_generalisation_gap_beyond_the_limit_fails",
        "unit/models/test_slices.py::test_slice_that_regresses_fails_although_the_whole_is_fine",
        "unit/models/test_weak_spots.py::test_planted_spot_of_three_percent_blocks_the_release",
        "unit/models/test_evaluate_noise.py"
        "::test_noise_equal_challenger_is_promoted_in_at_most_five_percent_of_releases",
    ),
    "refused models with their reasons": (
        "unit/release/test_register.py::test_held_model_gets_a_version_and_a_refused_one_only_a_run",
    ),
    "golden rows through the real endpoint": (
        "unit/release/test_deploy.py::test_release_passes_over_both_protocols_and_becomes_the_champion",
        "unit/release/test_deploy.py::test_endpoint_that_fails_a_gate_leaves_the_champion_and_keeps_the_reason",
    ),
    "features of the newest requests as training would have got them": (
        "pipelines/test_version_record.py::test_newest_requests_are_served_as_training_would_have_got_them",
        "unit/release/test_deploy.py"
        "::test_release_whose_requests_are_transformed_otherwise_than_in_training_is_refused",
        "unit/release/test_deploy.py::test_release_is_refused_when_the_online_store_holds_nobody",
        "unit/release/test_deploy.py::test_release_is_refused_when_what_the_store_holds_has_expired",
    ),
    "then promotes or refuses, the registry's alias last": (
        "unit/release/test_deploy.py::test_alias_does_not_move_when_the_host_does_not_serve_the_version",
        "unit/release/test_deploy.py::test_crash_in_between_promotes_nothing_by_half_and_the_next_try_ends_it",
    ),
    "one ruling an alert: run, hold, escalate or closed, with its reason": (
        "unit/governor/test_rule.py::test_every_reason_has_a_whole_sentence_for_every_cause",
        "unit/governor/test_worker.py::test_repeats_of_a_decided_episode_change_nothing_but_the_count",
    ),
    "Changing a cost in the contract changes threshold, gates, alert and report": (
        "pipelines/test_costs.py::test_threshold_falls_when_a_right_action_earns_more_and_a_wrong_one_costs_less",
        "pipelines/test_costs.py::test_value_gate_asks_for_the_gain_that_the_values_mean",
        "pipelines/test_costs.py::test_alert_on_value_and_the_limit_that_dashboards_draw_follow",
        "pipelines/test_costs.py::test_report_shows_the_values_and_what_they_ask_for",
        "pipelines/test_costs.py::test_rules_of_other_contracts_are_not_installed",
    ),
    "a contract of another task is refused": (
        "unit/base/test_problem.py::test_unknown_task_is_refused_with_the_known_ones",
    ),
    "on a cluster such a step is refused, as the image has neither Spark nor Java": (
        "unit/base/test_spark_session.py::test_spark_without_its_package_or_java_is_refused_with_what_to_install",
    ),
    "of the runs missed in an outage the newest is made up": (
        "unit/governor/test_timetable.py::test_of_the_windows_that_were_missed_the_newest_is_made_up_once",
    ),
    "named in each answer": (
        "unit/features/test_online_features.py::test_what_is_too_old_unknown_or_unnamed_is_missing",
        "contracts/test_endpoint_features.py::test_features_of_an_unknown_aircraft_are_missing_and_named",
    ),
    "keeps the endpoint up, follows promotions": (
        "unit/serving/test_follow_promotion.py"
        "::test_promotion_and_rollback_reach_the_running_endpoint_without_a_refused_request",
        "unit/serving/test_follow_promotion.py"
        "::test_version_that_does_not_start_leaves_the_one_before_and_the_promotion_fails",
    ),
    "two runs of one pipeline and problem, two endpoints of a champion and two governors refuse to": (
        "unit/base/test_home_lock.py::test_second_is_refused_and_told_who_is_at_it",
        "pipelines/test_side_by_side.py::test_two_trainings_of_one_problem_are_refused_in_words",
        "unit/serving/test_follow_promotion.py::test_champion_is_served_once",
    ),
    "all other commands work side by side": (
        "pipelines/test_side_by_side.py::test_files_land_and_pages_are_read_while_a_training_and_an_endpoint_are_under_way",
        "pipelines/test_side_by_side.py::test_monitoring_and_refresh_begin_while_a_training_and_an_endpoint_are_under_way",
    ),
    "one that is killed takes its steps with it": (
        "pipelines/test_killed_run.py::test_no_process_of_a_run_outlives_its_kill",
        "unit/release/test_deploy.py::test_a_step_whose_run_was_killed_during_the_smoke_test_promotes_nothing",
    ),
    "what the contract keeps no longer": (
        "unit/release/test_retention.py::test_what_a_version_in_charge_was_made_of_and_the_newest_stay",
        "unit/release/test_retention.py::test_the_command_shows_first_and_then_deletes",
    ),
    "A label that is older than its prediction is a critical finding and is not counted": (
        "unit/monitoring/test_findings.py::test_labels_that_are_older_than_their_predictions_are_critical",
        "unit/monitoring/test_monitor.py::test_a_label_that_was_known_before_the_prediction_is_named_and_not_counted",
    ),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_stands_in_the_readme_and_has_its_tests(promise: str) -> None:
    assert promise in README
    assert PROMISES[promise]
    for named in PROMISES[promise]:
        file, _, test = named.partition("::")
        assert re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), named
