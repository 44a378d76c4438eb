# A link in a template: `{% url %}`.
#
# In: Django's node and context. Out: what its `render()` would return, or raise. What
# the arguments are is asked once, in Django's order.

@cython.final
cdef class UrlNodes:
    """Renders Django's URLNode.

    `urls` is the module that it imports `reverse()` from, at each time, `tags` is its
    own; `watch` and `functions` tell whether what is left out is Django's own.
    """

    def __init__(
        self, ClassWatch watch not None, FunctionWatch functions not None, *,
        dict urls not None, dict tags not None, TemplateMethods templates not None,
        UrlReversing reversing not None,
    ):
        self.watch = watch
        self.functions = functions
        self.urls = urls
        self.tags = tags
        self.node = tags["URLNode"]
        self.templates = templates
        self.reversing = reversing

    def method(self):
        """Return what is to be `URLNode.render`."""
        otherwise = self.node.render

        def render(node, context):
            if (
                type(node) is not self.node
                or not self.templates.is_usual(context)
                or not holds(self.watch)
                or not functions_hold(self.functions)
            ):
                return otherwise(node, context)
            return self.rendered(node, context)

        return update_wrapper(render, otherwise)

    cdef object rendered(self, node, context):
        reverse, not_found = self.urls["reverse"], self.urls["NoReverseMatch"]
        args = [self.resolved(each, context) for each in node.args]
        kwargs = {
            name: self.resolved(each, context) for name, each in node.kwargs.items()
        }
        view_name = self.resolved(node.view_name, context)
        current_app = app_of(context)
        shown = node.asvar
        try:
            # Something may have been changed by what was asked.
            url = None
            if functions_hold(self.functions):
                url = self.reversing.reversed(view_name, args, kwargs, current_app)
            if url is None:
                url = reverse(
                    view_name, args=args, kwargs=kwargs, current_app=current_app
                )
        except not_found:
            url = ""
            if shown is None:
                raise
        if shown:
            context[shown] = url
            return ""
        if not context.autoescape:
            return url
        if type(url) is not str or not functions_hold(self.functions):
            return self.tags["conditional_escape"](url)
        return self.templates.escaped(<str> url)

    cdef object resolved(self, expression, context):
        if type(expression) is self.templates.expression:
            return self.templates.resolved(expression, context, False)
        return expression.resolve(context)


cdef object app_of(context):
    """The application, or namespace, that is looked in first; None for none."""
    request = getattr(context, "request", MISSING)
    if request is not MISSING:
        app = getattr(request, "current_app", MISSING)
        if app is not MISSING:
            return app
    request = getattr(context, "request", MISSING)
    if request is MISSING:
        return None
    match = getattr(request, "resolver_match", MISSING)
    return None if match is MISSING else getattr(match, "namespace", None)
