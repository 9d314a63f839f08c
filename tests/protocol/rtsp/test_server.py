# ruff: noqa: ARG002  (an application need not look at all it is told)
"""The server's half of a dialogue (RFC 2326): states of appendix A.2, status codes of §11, sessions of §12.37."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from protocol.errors import Malformed
from protocol.rtsp import digest, transport
from protocol.rtsp.application import Agreed, Peer, Refused, Session, Started
from protocol.rtsp.digest import Challenger
from protocol.rtsp.headers import Headers
from protocol.rtsp.message import Request, Response
from protocol.rtsp.range import Npt
from protocol.rtsp.server import MAX_ANNOUNCED, Server
from protocol.rtsp.transport import Transport
from protocol.rtsp.url import Url
from protocol.sdp import SessionDescription

SECOND = 1_000_000_000
URL = "rtsp://192.0.2.1:8554/camera"
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
ALICE, BOB = Peer(1, "198.51.100.1"), Peer(2, "198.51.100.2")
UDP = "RTP/AVP;unicast;client_port=4000-4001"
TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


@dataclass
class Player:
    """An application that does what it is asked, and remembers it."""

    methods: frozenset[str] = frozenset({"DESCRIBE", "ANNOUNCE", "SETUP", "PLAY", "RECORD", "PAUSE", "TEARDOWN"})
    calls: list[str] = field(default_factory=list)

    def split(self, path: str) -> tuple[str, str | None]:
        head, _, tail = path.rpartition("/")
        return (head, path) if tail.startswith("track") else (path, None)

    def describe(self, url: Url, peer: Peer, user: str | None) -> bytes:
        if url.path != "/camera":
            raise Refused(404)
        return SDP

    def announce(self, url: Url, peer: Peer, user: str | None, description: SessionDescription) -> None:
        self.calls.append(f"announce {url.path} with {len(description.media)}")

    def setup(self, session: Session, track: str, offers: Sequence[Transport], request: Request) -> Agreed:
        if offers[0].multicast:
            raise Refused(461)
        self.calls.append(f"setup {track}")
        return Agreed(offers[0])

    def play(self, session: Session, wanted: Npt | None, request: Request) -> Started:
        self.calls.append("play")
        return Started(wanted, Headers.of(("RTP-Info", "url=x")))

    def record(self, session: Session, request: Request) -> Started:
        self.calls.append("record")
        return Started()

    def pause(self, session: Session) -> None:
        self.calls.append("pause")

    def set_parameters(self, session: Session | None, values: Mapping[str, str]) -> None:
        if "volume" in values:
            raise Refused(451)
        self.calls.append(f"set {dict(values)}")

    def get_parameters(self, session: Session | None, names: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(names, "7")

    def teardown(self, session: Session, track: str | None, why: str) -> None:
        self.calls.append(f"teardown {track}: {why}" if track else f"teardown: {why}")


class Dialogue:
    """Requests in a row from one peer."""

    def __init__(self, server: Server, peer: Peer = ALICE) -> None:
        self.server, self.peer, self.cseq, self.now = server, peer, 0, SECOND
        self.session: str | None = None

    def ask(self, method: str, target: str = URL, body: bytes = b"", **headers: str) -> Response:
        self.cseq += 1
        pairs = [("CSeq", str(self.cseq))]
        if self.session is not None:
            pairs.append(("Session", self.session))
        pairs += [(name.replace("_", "-"), value) for name, value in headers.items()]
        response = self.server.handle(self.peer, Request(method, target, Headers.of(*pairs), body), self.now)
        assert response.headers.get("CSeq") == str(self.cseq)  # §12.17
        return response

    def set_up(self, spec: str = UDP, track: str = "track1") -> Response:
        response = self.ask("SETUP", f"{URL}/{track}", Transport=spec)
        assert response.status == 200
        self.session = (response.headers.get("Session") or "").partition(";")[0]
        return response


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def dialogue(player: Player) -> Dialogue:
    return Dialogue(Server(player))


def test_a_client_plays_pauses_and_leaves(dialogue: Dialogue, player: Player) -> None:
    public = dialogue.ask("OPTIONS", "*").headers.get("Public")
    assert public is not None
    assert {"DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "OPTIONS"} <= set(public.split(", "))  # §10.1
    described = dialogue.ask("DESCRIBE", Accept="application/sdp")
    assert (described.status, described.body) == (200, SDP)
    assert described.headers.get("Content-Type") == "application/sdp"
    assert described.headers.get("Content-Base") == URL + "/"
    agreed = dialogue.set_up()
    assert transport.parse(agreed.headers.get("Transport") or "")[0].client_port == (4000, 4001)
    assert (agreed.headers.get("Session") or "").endswith(";timeout=60")
    played = dialogue.ask("PLAY", Range="npt=3.500-")
    assert (played.status, played.headers.get("Range")) == (200, "npt=3.500-")
    assert played.headers.get("RTP-Info") == "url=x"
    assert dialogue.ask("PAUSE").status == 200
    assert dialogue.ask("PLAY").status == 200
    assert dialogue.ask("TEARDOWN").status == 200
    assert player.calls == ["setup /camera/track1", "play", "pause", "play", "teardown: asked for"]
    assert dialogue.ask("PLAY").status == 454


def test_a_client_announces_and_records(dialogue: Dialogue, player: Player) -> None:
    announced = dialogue.ask("ANNOUNCE", body=SDP, Content_Type="application/sdp")
    assert announced.status == 200
    dialogue.set_up(UDP + ";mode=record", "streamid=0")
    assert dialogue.ask("RECORD").status == 200
    assert dialogue.ask("SETUP", f"{URL}/streamid=1", Transport=UDP).status == 455
    assert dialogue.ask("TEARDOWN").status == 200
    assert player.calls == [
        "announce /camera with 1", "setup /camera/streamid=0", "record", "teardown: asked for",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PLAY", {}, 454),
        ("TEARDOWN", {}, 454),
        ("BREW", {}, 501),
        ("REDIRECT", {}, 405),
        ("OPTIONS", {"Require": "com.example.feature"}, 551),
        ("DESCRIBE", {"Accept": "text/html"}, 406),
        ("SETUP", {"Transport": "RTP/AVP;multicast"}, 459),
        ("SETUP", {"Transport": "x-unheard-of"}, 461),
        ("SETUP", {}, 461),
        ("ANNOUNCE", {"Content-Type": "text/plain"}, 415),
        ("PLAY", {"Session": "no-such-session"}, 454),
    ],
)
def test_what_cannot_be_is_refused(dialogue: Dialogue, method: str, headers: dict[str, str], status: int) -> None:
    assert dialogue.ask(method, **{name.replace("-", "_"): value for name, value in headers.items()}).status == status


def test_what_is_not_there_is_not_found(dialogue: Dialogue) -> None:
    assert dialogue.ask("DESCRIBE", URL + "2").status == 404


def test_no_cseq_is_a_bad_request(player: Player) -> None:
    assert Server(player).handle(ALICE, Request("OPTIONS", "*"), 0).status == 400


def test_what_the_application_refuses_leaves_nothing(dialogue: Dialogue) -> None:
    assert dialogue.ask("SETUP", f"{URL}/track1", Transport="RTP/AVP;multicast").status == 461
    assert not dialogue.server.sessions


def test_what_was_announced_outlives_a_transport_that_will_not_do(dialogue: Dialogue) -> None:
    dialogue.ask("ANNOUNCE", body=SDP, Content_Type="application/sdp")
    refused = dialogue.ask("SETUP", f"{URL}/track1", Transport="RTP/AVP;multicast;mode=record")
    assert refused.status == 461
    assert dialogue.set_up(TCP).status == 200
    assert dialogue.ask("RECORD").status == 200


def test_tracks_are_one_session_and_go_one_by_one(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up()
    dialogue.set_up(track="track2")
    assert len(dialogue.server.sessions) == 1
    assert dialogue.ask("PLAY", f"{URL}/track1").status == 460  # §11.3.9: aggregate control alone
    assert dialogue.ask("PLAY").status == 200
    assert dialogue.ask("TEARDOWN", f"{URL}/track1").status == 200
    assert len(dialogue.server.sessions) == 1
    assert dialogue.ask("TEARDOWN", f"{URL}/track2").status == 200
    assert player.calls[-2:] == ["teardown /camera/track1: asked for", "teardown: asked for"]
    assert not dialogue.server.sessions


def test_nobody_else_ends_a_session(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up()
    dialogue.ask("PLAY")
    stranger = Dialogue(dialogue.server, BOB)
    stranger.session = dialogue.session
    assert stranger.ask("TEARDOWN").status == 454
    assert stranger.ask("PAUSE").status == 454
    assert player.calls[-1] == "play"


def test_silence_ends_a_session_and_any_request_or_report_keeps_it(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up()
    server = dialogue.server
    dialogue.now += 50 * SECOND
    assert dialogue.ask("GET_PARAMETER").status == 200
    server.handle_timeout(dialogue.now + 59 * SECOND)
    assert server.sessions
    assert dialogue.session is not None
    server.alive(dialogue.session, dialogue.now + 59 * SECOND)
    server.handle_timeout(dialogue.now + 100 * SECOND)
    assert server.next_timeout() == dialogue.now + 119 * SECOND
    server.handle_timeout(dialogue.now + 119 * SECOND)
    assert player.calls[-1] == "teardown: no sign of life for 60 s"
    assert dialogue.ask("PLAY").status == 454


def test_a_lost_connection_ends_what_ran_through_it(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up(TCP)
    dialogue.server.lost(ALICE, dialogue.now)
    assert player.calls[-1] == "teardown: its connection was lost"


def test_what_runs_through_a_connection_ends_with_it_whoever_else_asked(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up(TCP)
    dialogue.peer = Peer(3, ALICE.host)
    assert dialogue.ask("PLAY").status == 200
    dialogue.server.lost(ALICE, dialogue.now)
    assert player.calls[-1] == "teardown: its connection was lost"


def test_nobody_gathers_sessions_of_other_connections(player: Player) -> None:
    server = Server(player)
    collector = Dialogue(server, Peer(0, ALICE.host))
    answers = []
    for connection in range(1, 11):
        opened = Dialogue(server, Peer(connection, ALICE.host))
        opened.set_up()
        collector.session = opened.session
        answers.append(collector.ask("GET_PARAMETER").status)
    assert answers == [200] * 8 + [453] * 2


def test_over_udp_a_client_has_ten_seconds_to_come_back(dialogue: Dialogue, player: Player) -> None:
    dialogue.set_up()
    dialogue.server.lost(ALICE, dialogue.now)
    dialogue.peer = Peer(3, ALICE.host)
    dialogue.now += 9 * SECOND
    assert dialogue.ask("PLAY").status == 200
    dialogue.server.lost(dialogue.peer, dialogue.now)
    dialogue.server.handle_timeout(dialogue.now + 10 * SECOND)
    assert player.calls[-1] == "teardown: its connection was lost"


def test_nobody_takes_all_the_room(player: Player) -> None:
    server = Server(player)
    for connection in range(3):
        stranger = Dialogue(server, Peer(f"stranger {connection}", BOB.host))
        asked = [stranger.ask("SETUP", f"{URL}/track1", Transport=UDP).status for _ in range(10)]
        assert asked == [200] * 8 + [453] * 2
        server.lost(stranger.peer, stranger.now)
        assert len(server.sessions) == 8, "those left behind make room"
    assert Dialogue(server).set_up().status == 200
    server.handle_timeout(SECOND + 10 * SECOND)
    assert len(server.sessions) == 1


def test_a_session_has_so_many_tracks(dialogue: Dialogue) -> None:
    for number in range(16):
        assert dialogue.set_up(track=f"track{number}").status == 200
    assert dialogue.ask("SETUP", f"{URL}/track16", Transport=UDP).status == 453
    assert dialogue.ask("SETUP", f"{URL}/track15", Transport=UDP).status == 200


def test_announcements_are_bounded_and_the_oldest_make_room(player: Player) -> None:
    server = Server(player)
    pushers = [Dialogue(server, Peer(f"pusher {number}", f"198.51.100.{number}")) for number in range(33)]
    for pusher in pushers:
        assert pusher.ask("ANNOUNCE", body=SDP, Content_Type="application/sdp").status == 200
    for long in (b"a=x\r\n" * 500, b"a=" + b"x" * 40_000):
        assert pushers[0].ask("ANNOUNCE", body=SDP + long).status == 413
    for pusher in (pushers[0], pushers[32]):
        pusher.set_up()
    assert pushers[0].ask("RECORD").status == 455, "its description was forgotten"
    assert pushers[32].ask("RECORD").status == 200


def test_parameters(dialogue: Dialogue, player: Player) -> None:
    assert dialogue.ask("SET_PARAMETER", body=b"barparam: barstuff\r\n").status == 200
    assert player.calls == ["set {'barparam': 'barstuff'}"]
    assert dialogue.ask("SET_PARAMETER", body=b"volume: 11\r\n").status == 451
    assert dialogue.ask("GET_PARAMETER", body=b"packets_received\r\n").body == b"packets_received: 7\r\n"


class OneUser:
    """Lets `Digest right` in."""

    def challenges(self, now: int, *, stale: bool = False, peer: str = "", tls: bool = False) -> list[str]:
        return ['Digest realm="x", algorithm=SHA-256', 'Digest realm="x", algorithm=MD5']

    def check(
        self, authorization: str, method: str, now: int, *, uri: str | None = None, peer: str = "", tls: bool = False
    ) -> str:
        if authorization != "Digest right":
            raise Malformed("wrong_password")
        return "alice"


def test_users_say_who_they_are(player: Player) -> None:
    dialogue = Dialogue(Server(player, guard=OneUser()))
    assert dialogue.ask("OPTIONS").status == 200
    refused = dialogue.ask("DESCRIBE")
    assert refused.status == 401
    assert len(refused.headers.all("WWW-Authenticate")) == 2
    assert dialogue.ask("DESCRIBE", Authorization="Digest right").status == 200
    for _ in range(9):
        assert dialogue.ask("DESCRIBE", Authorization="Digest wrong").headers.get("Connection") is None
    assert dialogue.ask("DESCRIBE", Authorization="Digest wrong").headers.get("Connection") == "close"


def test_a_password_by_digest(player: Player) -> None:
    dialogue = Dialogue(Server(player, guard=Challenger("camera", {"alice": "right"})))
    challenges = dialogue.ask("DESCRIBE").headers.all("WWW-Authenticate")
    answers = [digest.answer(challenges, "alice", "right", "DESCRIBE", URL, "c", nc) for nc in (1, 2)]
    assert dialogue.ask("DESCRIBE", Authorization=answers[0]).status == 200
    replayed = dialogue.ask("DESCRIBE", Authorization=answers[0])
    assert replayed.status == 401
    assert all(challenge.stale for challenge in digest.parse(replayed.headers.all("WWW-Authenticate")))
    assert dialogue.ask("DESCRIBE", "rtsp://192.0.2.1:8554/other", Authorization=answers[1]).status == 401
    assert Dialogue(dialogue.server, BOB).ask("DESCRIBE", Authorization=answers[1]).status == 401, "overheard"
    assert dialogue.ask("DESCRIBE", Authorization=answers[1]).status == 200


def test_options_with_a_session_are_its_user_s_sign_of_life(player: Player) -> None:
    dialogue = Dialogue(Server(player, guard=OneUser()))
    assert dialogue.ask("SETUP", f"{URL}/track1", Transport=UDP, Authorization="Digest right").status == 200
    dialogue.session = dialogue.server.sessions[0].id
    assert dialogue.ask("OPTIONS").status == 401
    dialogue.now += 50 * SECOND
    assert dialogue.ask("OPTIONS", Authorization="Digest right").status == 200
    dialogue.now += 50 * SECOND
    dialogue.server.handle_timeout(dialogue.now)
    assert dialogue.server.sessions


def test_another_user_is_not_the_session_s(player: Player) -> None:
    class Anybody(OneUser):
        def check(
            self,
            authorization: str,
            method: str,
            now: int,
            *,
            uri: str | None = None,
            peer: str = "",
            tls: bool = False,
        ) -> str:
            return authorization

    dialogue = Dialogue(Server(player, guard=Anybody()))
    response = dialogue.ask("SETUP", f"{URL}/track1", Transport=UDP, Authorization="alice")
    dialogue.session = (response.headers.get("Session") or "").partition(";")[0]
    assert dialogue.ask("TEARDOWN", Authorization="bob").status == 454
    assert dialogue.ask("TEARDOWN", Authorization="alice").status == 200


def test_who_announces_too_much_makes_room_not_the_others(player: Player) -> None:
    """From one address, over many connections, again and again, and refused in between."""
    server = Server(player)
    friend = Dialogue(server, BOB)
    assert friend.ask("ANNOUNCE", body=SDP, Content_Type="application/sdp").status == 200
    for number in range(3 * MAX_ANNOUNCED):
        stranger = Dialogue(server, Peer(100 + number, "198.51.100.9"))
        assert stranger.ask("ANNOUNCE", body=SDP, Content_Type="application/sdp").status == 200
        refused = "RTP/AVP;multicast;mode=record"
        assert stranger.ask("SETUP", f"{URL}/track1", Transport=refused).status == 461
    assert friend.ask("SETUP", f"{URL}/streamid=0", Transport=TCP + ";mode=record").status == 200
    assert len(server._announced) <= MAX_ANNOUNCED
