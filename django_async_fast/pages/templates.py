"""Variables in templates, resolved and made text by the core.

A page is made of them: Django takes a dozen calls for one that is text, forty for a
number. Debuggers, coverage's plugin and the debug toolbar follow templates by Django's
frames, and are shown them: neither who traces is the usual case nor an engine in debug
mode.
"""

import html as stdlib_html
import inspect
import logging
import sys
from collections.abc import Iterator
from functools import cache, update_wrapper
from typing import Any

from django.template import base, context, defaulttags
from django.utils import (
    formats,
    html,
    numberformat,
    safestring,
    translation,
)
from django.utils.translation import trans_null, trans_real

from .. import _native
from ..unpatched import Unpatched, UnpatchedFunctions
from . import lookups

_ATTRIBUTES = "__getattribute__", "__getattr__"
_OF_CONTEXT = (
    *("__getitem__", "__setitem__", "__contains__", "push", "pop", "update"),
    *_ATTRIBUTES,
)
_CLASSES = (
    (base.Variable, ("resolve", "_resolve_lookup", *_ATTRIBUTES)),
    (base.VariableDoesNotExist, ("__init__", "__new__")),
    (base.FilterExpression, ("resolve", *_ATTRIBUTES)),
    (context.Context, _OF_CONTEXT),
    (context.RequestContext, _OF_CONTEXT),
    (context.ContextDict, ("__getitem__", "__contains__", "__missing__")),
    (safestring.SafeString, ("__new__", "__init__", "__html__", "__str__")),
    (trans_real.DjangoTranslation, ("to_language", "__getattribute__")),
)
_NODES = (
    (base.NodeList, ("render", "__iter__")),
    (base.TextNode, ("render_annotated", *_ATTRIBUTES)),
    (base.VariableNode, ("render", "render_annotated", *_ATTRIBUTES)),
    (defaulttags.ForNode, ("render", *_ATTRIBUTES)),
)
# What is called between a variable and its text.
_FUNCTIONS = (
    (base, "render_value_in_context template_localtime localize conditional_escape"),
    (base, "mark_safe BaseContext SafeData SafeString VariableDoesNotExist"),
    (defaulttags, "mark_safe"),
    (html, "escape SafeString"),
    (stdlib_html, "escape"),
    (formats, "number_format get_language get_format"),
    (numberformat, "format mark_safe"),
    (translation, "get_language"),
    (trans_real, "get_language"),
    (trans_null, "get_language"),
)


def seams() -> Iterator[tuple[Any, str, Any, str]]:
    """Yield what is replaced: owner, name, replacement, reason."""
    methods = the_methods()
    owners = base.Variable, base.FilterExpression, base.VariableNode
    names = "_resolve_lookup", "resolve", "render"
    reason = "a variable of a template is found, and made text, in one step"
    for owner, name, method in zip(owners, names, methods.of_templates(), strict=True):
        yield owner, name, update_wrapper(method, getattr(owner, name)), reason
    reason = "what is in a list of nodes, or a loop, is rendered without calls"
    render_list, render_loop = methods.of_nodes()
    owner = base.NodeList
    yield owner, "render", update_wrapper(render_list, owner.render), reason
    owner = defaulttags.ForNode
    yield owner, "render", update_wrapper(render_loop, owner.render), reason
    owner = context.BaseContext
    of_contexts = "__getitem__", "__contains__", "__setitem__", "get"
    for name, method in zip(of_contexts, methods.of_contexts(), strict=True):
        method = update_wrapper(method, getattr(owner, name))
        yield owner, name, method, "what is in a context is found without a call"


@cache
def the_methods() -> Any:
    """Return the core's methods of templates."""
    places = [(each, name) for each, names in _FUNCTIONS for name in names.split()]
    logs: tuple[Any, Any] = logging.Logger.debug, logging.Logger.isEnabledFor
    monitoring = getattr(sys, "monitoring", None)
    return _native.rows.TemplateMethods(
        vars(base),
        (context.Context, context.RequestContext),
        context.ContextDict,
        safestring.SafeString,
        logging.Logger,
        tuple(log if log.__globals__ is vars(logging) else None for log in logs),
        Unpatched(*((each, each, names) for each, names in _CLASSES)).watch,
        UnpatchedFunctions(*places).watch,
        lookups.local_methods(),
        vars(formats),
        vars(numberformat),
        vars(translation),
        vars(trans_real),
        vars(trans_null),
        monitoring and monitoring.get_tool,
        Unpatched(*((each, each, names) for each, names in _NODES)).watch,
        defaulttags.ForNode,
        _loops_have_lengths(),
    )


def _loops_have_lengths() -> bool:
    """Tell whether `forloop.length` is there: since Django 6.0."""
    code = getattr(inspect.unwrap(defaulttags.ForNode.render), "__code__", None)
    return "'length'" in repr(getattr(code, "co_consts", ()))
