from django.test import AsyncClient

from django_async_fast.test import TestCase

from .models import Author, Book


class LibraryTests(TestCase):
    @classmethod
    async def setUpTestData(cls) -> None:
        cls.author = await Author.objects.acreate(name="Ann")
        await Book.objects.acreate(title="First", pages=100, author=cls.author)

    async def setUp(self) -> None:
        self.client = AsyncClient()

    async def test_the_synchronous_view(self) -> None:
        response = await self.client.get("/")
        self.assertContains(response, "1 books")
        form = {"title": "Second", "pages": 200, "author": self.author.pk}
        response = await self.client.post("/", form)
        self.assertRedirects(response, "/", fetch_redirect_response=False)
        self.assertEqual(await Book.objects.acount(), 2)

    async def test_the_asynchronous_view(self) -> None:
        response = await self.client.get(f"/authors/{self.author.pk}/")
        self.assertEqual(response.json(), {"name": "Ann", "titles": ["First"]})
        self.assertEqual((await self.client.get("/authors/0/")).status_code, 404)

    async def test_the_export(self) -> None:
        response = await self.client.get("/export/")
        lines = [part async for part in response]
        self.assertEqual(lines, [b"First;Ann;100\n"])

    async def test_the_api(self) -> None:
        async with self.assertNumQueries(1):
            response = await self.client.get("/api/books/")
        (book,) = response.json()
        self.assertEqual((book["title"], book["author"]), ("First", "Ann"))
