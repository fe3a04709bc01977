"""The one door to Kaggle: opens the real client lazily, gives each call a time-out, repeats what may be repeated.

`import kaggle` calls the network and `import kagglesdk` does not, so the latter is what is used, inside functions. Nothing
of a credential leaves this module: what a server says is searched for it before it is shown, and no traceback carries the
client's own exceptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from comp.console import say
from comp.errors import (
    BadInput,
    CredentialsWrong,
    FoldboardError,
    NoCredentials,
    NoNetwork,
    ServerTrouble,
)
from comp.kaggle_credentials import Credentials, find_credentials
from comp.kaggle_refusals import is_never_sent, message_of, refusal, status_of
from comp.patience import Again, Patience, patiently, retry_after

Reply = TypeVar("Reply")
PAGE = 200
MOST_PAGES = 50


class Lost(Exception):
    """A call that may not be repeated ended without a reply that tells what became of it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Kaggle:
    """What this project asks of Kaggle: one method a question, each with time-outs and clear failures.

    Opening it calls nobody. Reads are repeated with growing pauses; `create_submission` is not.
    """

    def __init__(self, patience: Patience | None = None, note: Callable[[str], None] = say) -> None:
        """Find the credentials and set the client up.

        Args:
            note: Takes a line for each longer pause.

        Raises:
            NoCredentials: If there are none.
            BadInput: If KAGGLE_API_ENVIRONMENT names no environment of Kaggle's.
        """
        self.patience = patience or Patience()
        self.note = note
        self.credentials = find_credentials()
        self._secrets = list(self.credentials.secrets)
        self._client = open_client(self.credentials, self.patience)
        if self.credentials.oauth:
            self._use_oauth()

    @property
    def endpoint(self) -> str:
        """Return the address that calls go to."""
        return str(self._client.http_client()._endpoint)

    def whoami(self) -> str:
        """Return the account's name; the server is asked in any case, so an answer means that it takes the credentials."""
        if self.credentials.username:
            self._read(self._api.list_competitions, "the account")
            return self.credentials.username
        from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

        request = IntrospectTokenRequest()
        request.token = self.credentials.token or self._client.http_client()._api_token
        found = self._read(lambda: self._client.security.oauth_client.introspect_token(request), "the account")
        if not found.active:
            raise CredentialsWrong(f"Kaggle does not take the credentials from {self.credentials.source} any more")
        return str(found.username)

    def competition(self, slug: str) -> Any:
        """Return the facts of a competition (`ApiCompetition`)."""
        return self._ask("get_competition", slug, competition_name=slug)

    def limits(self, slug: str) -> Any:
        """Return what may still be submitted (`ApiSubmissionLimits`)."""
        return self._ask("get_submission_limits", slug, competition_name=slug)

    def files(self, slug: str) -> list[Any]:
        """Return the competition's files, all pages of them (`ApiDataFile`)."""
        return list(self._pages("list_data_files", slug, "files"))

    def submissions(self, slug: str) -> list[Any]:
        """Return one's own submissions, all pages of them, newest first (`ApiSubmission`)."""
        return list(self._pages("list_submissions", slug, "submissions"))

    def leaderboard(self, slug: str) -> list[Any]:
        """Return the public board from its top, all pages of it (`ApiLeaderboardSubmission`)."""
        return list(self._pages("get_leaderboard", slug, "submissions"))

    def submission(self, ref: int) -> Any:
        """Return one submission with its status and scores (`ApiSubmission`)."""
        return self._ask("get_submission", f"submission {ref}", ref=ref)

    def start_upload(self, slug: str, file_name: str, n_bytes: int, modified: int) -> tuple[str, str]:
        """Return the token of a new upload, and the address that takes its bytes; may be repeated, it submits nothing."""
        found = self._ask(
            "start_submission_upload",
            slug,
            competition_name=slug,
            file_name=file_name,
            content_length=n_bytes,
            last_modified_epoch_seconds=modified,
        )
        if not (found.token and found.create_url):
            raise ServerTrouble(f"Kaggle gave no address to upload {file_name} to; try again later")
        return str(found.token), str(found.create_url)

    def create_submission(self, slug: str, token: str, description: str) -> tuple[int, str]:
        """Create a submission of an uploaded file, sent once and never repeated here; return its number and a message.

        Raises:
            Lost: If no reply came that tells whether it was created.
            Again: If the server did not take it for now (429), or the connection never stood.
            RemoteError: If the server refused it: then it was not created.
        """
        request = _request("create_submission")
        request.competition_name, request.blob_file_tokens = slug, token
        request.submission_description = description
        try:
            found = self._call(lambda: self._api.create_submission(request), slug)
        except Again as again:
            if again.did_nothing:
                raise
            raise Lost(str(again.failure)) from None
        return int(found.ref), self.scrub(str(found.message))

    def open_competition_files(self, slug: str, headers: dict[str, str]) -> Any:
        """Return the streaming reply with one archive of all files; `headers` may ask for a range of it."""
        return self._stream("competitions.competition_api_client", "download_data_files", slug, headers, slug)

    def open_dataset(self, owner: str, name: str, headers: dict[str, str]) -> Any:
        """Return the streaming reply with one archive of a data set."""
        return self._stream("datasets.dataset_api_client", "download_dataset", f"{owner}/{name}", headers, owner, name)

    def scrub(self, text: str) -> str:
        """Return a server's text on one line, short, and without any credential that it may echo."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join(text.split())
        return text if len(text) <= 300 else text[:300] + "..."

    @property
    def _api(self) -> Any:
        return self._client.competitions.competition_api_client

    def _use_oauth(self) -> None:
        """Let the stock code find or refresh the access token; unlike it, never delete the file."""
        from kagglesdk.kaggle_creds import KaggleCredentials

        found = KaggleCredentials.load(self._client)
        if found is None:
            raise NoCredentials(
                f"{self.credentials.source} holds no usable credentials: log in again (kaggle auth login)"
            )
        self._secrets += [secret for secret in (found._refresh_token, found._access_token) if secret]
        token = self._read(found.get_access_token, "the account")
        self._secrets.append(token)
        http = self._client.http_client()
        http._api_token = token
        http._session.auth = http.BearerAuth(token)

    def _ask(self, method: str, about: str, **fields: Any) -> Any:
        request = _request(method)
        for name, value in fields.items():
            setattr(request, name, value)
        return self._read(lambda: getattr(self._api, method)(request), about)

    def _pages(self, method: str, slug: str, field: str) -> Iterator[Any]:
        token = ""
        for _ in range(MOST_PAGES):
            found = self._ask(method, slug, competition_name=slug, page_size=PAGE, page_token=token)
            yield from getattr(found, field) or []
            token = found.next_page_token or ""
            if not token:
                return

    def _read(self, call: Callable[[], Reply], about: str) -> Reply:
        return patiently(lambda: self._call(call, about), self.patience, self.note)

    def _stream(self, client: str, method: str, about: str, headers: dict[str, str], *names: str) -> Any:
        api: Any = self._client
        for part in client.split("."):
            api = getattr(api, part)
        request = _download_request(method, names)
        session = self._client.http_client()._session
        session.headers.update(headers)
        try:
            return self._call(lambda: getattr(api, method)(request), about)
        finally:
            for name in headers:
                session.headers.pop(name, None)

    def _call(self, call: Callable[[], Reply], about: str) -> Reply:
        """Call the client once, and turn whatever it raises into a failure of ours that holds no secret."""
        import requests

        try:
            return call()
        except requests.HTTPError as error:
            failure: Exception = self._refusal(error.response, about, str(error))
        except requests.exceptions.JSONDecodeError:
            failure = Again(ServerTrouble(f"Kaggle's reply about {about} is no JSON; try again later"))
        except (requests.RequestException, OSError) as error:
            failure = self._no_reply(error)
        except FoldboardError:
            raise
        except Exception as error:  # the client's own parsing, of a reply that it did not expect
            failure = Again(
                ServerTrouble(f"Kaggle's reply about {about} makes no sense ({type(error).__name__}); try again later")
            )
        raise failure from None

    def _no_reply(self, error: Exception) -> Again:
        import requests

        server = self.endpoint
        if isinstance(error, requests.exceptions.ReadTimeout):
            return Again(NoNetwork(f"{server} stayed silent for {self.patience.read:.0f} s; try again later"))
        never_sent = is_never_sent(error)
        how = "cannot be reached" if never_sent else "broke the connection"
        failure = NoNetwork(f"{server} {how} ({type(error).__name__}): check network and proxy, then try again")
        return Again(failure, did_nothing=never_sent)

    def _refusal(self, reply: Any, about: str, text: str) -> Exception:
        """Return what a reply with an error status means: `Again` where it may pass."""
        status = status_of(reply)
        said = self.scrub(message_of(reply) or text)
        if status == 429 or status >= 500:
            what = "too many requests" if status == 429 else "an error of its own"
            failure = ServerTrouble(f"Kaggle answers {status}, {what}, about {about} ({said})")
            return Again(failure, retry_after(reply.headers.get("Retry-After")), did_nothing=status == 429)
        return refusal(status, said, about, self.credentials.source)


def open_client(credentials: Credentials, patience: Patience) -> Any:
    """Return the stock client, whose every call has a time-out; nobody is called.

    Raises:
        BadInput: If KAGGLE_API_ENVIRONMENT names no environment of Kaggle's.
    """
    from kagglesdk import KaggleClient
    from kagglesdk.kaggle_env import get_env

    try:
        client = KaggleClient(
            env=get_env(),
            username=credentials.username,
            password=credentials.key,
            api_token=credentials.token,
            user_agent="foldboard",
        )
        http = client.http_client()
        # with a user's key given, the client would still take a token from elsewhere; the order is ours to keep
        http._init_session()
        if credentials.key:
            http._session.auth = (credentials.username, credentials.key)
    except Exception as error:  # kagglesdk raises the bare class
        raise BadInput(f"{error}: expected PROD, or unset it") from None
    with_timeouts(http._session, patience)
    return client


def with_timeouts(session: Any, patience: Patience) -> Any:
    """Return a `requests` session whose calls all have time-outs, given or not."""
    from requests.adapters import HTTPAdapter

    class Timely(HTTPAdapter):
        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            if options.get("timeout") is None:
                options["timeout"] = patience.timeout
            return super().send(request, *args, **options)

    session.mount("http://", Timely())
    session.mount("https://", Timely())
    return session


def _request(method: str) -> Any:
    from kagglesdk.competitions.types import competition_api_service as types

    return getattr(types, f"Api{_camel(method)}Request")()


def _download_request(method: str, names: tuple[str, ...]) -> Any:
    if method == "download_data_files":
        request = _request(method)
        request.competition_name = names[0]
        return request
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    dataset = ApiDownloadDatasetRequest()
    dataset.owner_slug, dataset.dataset_slug = names
    return dataset


def _camel(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))
