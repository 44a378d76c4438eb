"""The labels of Django's suite, and which of them are about the ORM."""

from pathlib import Path

# Not test packages by themselves, or in need of PostGIS.
NOT_LABELS = {"import_error_package", "test_runner_apps", "gis_tests"}

# Their tables cannot be made without contrib's extensions and ICU's collations.
NEED_EXTRAS = {"db_functions", "inspectdb", "model_fields", "postgres_tests"}

# What stands on django.db: models, querysets, transactions, migrations, backends,
# signals of models, and the contrib apps whose async methods the package makes
# native. Left out is what is above the ORM or beside it: admin, forms, templates,
# views, HTTP, files, mail, commands. Names are those of Django 5.2 to 6.1.
ORM = """
    aggregation aggregation_regress annotations async auth_tests backends basic
    bulk_create composite_pk constraints contenttypes_tests custom_columns
    custom_lookups custom_managers custom_methods custom_migration_operations
    custom_pk datatypes dates datetimes db_functions db_typecasts db_utils defer
    defer_regress delete delete_regress distinct_on_fields empty empty_models
    expressions expressions_case expressions_window extra_regress field_defaults
    field_subclassing filtered_relation fixtures fixtures_model_package
    fixtures_regress force_insert_update foreign_object from_db_value
    generic_relations generic_relations_regress get_earliest_or_latest
    get_object_or_404 get_or_create indexes introspection known_related_objects
    lookup m2m_and_m2o m2m_intermediary m2m_multiple m2m_recursive m2m_regress
    m2m_signals m2m_through m2m_through_regress m2o_recursive managers_regress
    many_to_many many_to_one many_to_one_null max_lengths migrate_signals
    migration_test_data_persistence migrations migrations2 model_enums
    model_fields model_indexes model_inheritance model_inheritance_regress
    model_meta model_options model_package model_regress model_utils
    multiple_database mutually_referential nested_foreign_keys no_models null_fk
    null_fk_ordering null_queries one_to_one or_lookups order_with_respect_to
    ordering pagination postgres_tests prefetch_related properties
    proxy_model_inheritance proxy_models queries queryset_pickle raw_query
    reserved_names reverse_lookup save_delete_hooks schema select_for_update
    select_related select_related_onetoone select_related_regress serializers
    sessions_tests signals str string_lookup swappable_models timezones
    transaction_hooks transactions unmanaged_models update update_only_fields
    validation xor_lookups
"""


# What sends requests, or is about how they are served.
REQUESTS = """
    admin_changelist admin_views asgi auth_tests cache csrf_tests file_uploads
    generic_views handlers httpwrappers i18n logging_tests messages_tests middleware
    middleware_exceptions requests_tests responses sessions_tests signals
    staticfiles_tests template_tests test_client test_client_regress
    urlpatterns_reverse view_tests
"""


def every_label(tests: Path, extras: bool) -> list[str]:
    """Return the labels of the suite in the folder `tests` that can run."""
    folders = {path.parent.name for path in tests.glob("*/__init__.py")}
    return sorted(folders - NOT_LABELS - (set() if extras else NEED_EXTRAS))


def named(labels: list[str], mode: str) -> str:
    """Return what a choice of labels is called: all, orm, requests or some."""
    if labels == ["requests"] or (not labels and mode == "request"):
        return "requests"
    if labels == ["orm"] or (not labels and mode == "concurrent"):
        return "orm"  # concurrent is about connections
    return "some" if labels else "all"


def chosen(tests: Path, labels: list[str], mode: str, extras: bool) -> list[str]:
    """Return the labels that `labels` means: none given are all of the mode's."""
    every = every_label(tests, extras)
    name = named(labels, mode)
    if name in ("orm", "requests"):
        wanted = ORM if name == "orm" else REQUESTS
        return [label for label in wanted.split() if label in every]
    return labels if name == "some" else every
