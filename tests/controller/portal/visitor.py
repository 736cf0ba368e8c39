"""Somebody at the portal without a browser: signed in with a role, and what a page says to them, on one line."""

from django.test import Client

from friendlyfl.controller.models import Person

PASSWORD = "a calm and long sentence"


def signed_in(role: str) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(Person.objects.create_user(username=f"the {role}", password=PASSWORD, role=role))
    return client


def said(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content.decode()[-1500:]
    return " ".join(answer.content.decode().split())
