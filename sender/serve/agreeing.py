"""SETUP: which of a client's offers will do for a track, and where its packets then go."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from protocol.rtsp.application import Peer, Session
from protocol.rtsp.transport import Transport
from protocol.srtp.master_key import MasterKey
from sender.identity import Identity
from sender.paths import Path, TargetPaths
from sender.serve.conversation import Conversation
from sender.serve.delivery import Delivery, Keys, Paths, Setup
from sender.session_description import track_name
from sender.transmit.stream import StreamConfig
from sender.transport import PortPair

_PROFILES = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")


class Agreeing:
    """It belongs to the control thread."""

    def __init__(
        self,
        forms: Sequence[StreamConfig],
        ports: Mapping[bool, PortPair],
        *,
        group: TargetPaths | None,
        ttl: int,
        repair: bool,
        new_key: Callable[[], int],
    ) -> None:
        """`forms`: the streams, but for SSRCs and paths; `ports`: for receivers, by whether they have IPv6 addresses;
        `group`: for those who want multicast, with its `ttl`; `new_key`: for a target."""
        self._forms, self._ports, self._ttl, self._repair, self._new_key = forms, ports, ttl, repair, new_key
        self._numbers = random.Random()
        self._identities: dict[Conversation, dict[int, Identity]] = {}
        """told in descriptions, by the index of the stream, and not in use yet."""
        self._group = None if group is None else self._make_group(group)

    def introduce(self, conversation: Conversation) -> list[tuple[StreamConfig, MasterKey]]:
        """The streams with the SSRCs, and the keys, that they will have when this client sets them up."""
        identities = {feed: Identity.new(self._numbers) for feed in range(len(self._forms))}
        self._identities[conversation] = identities
        return [(self._stream(feed, identity), identity.key) for feed, identity in identities.items()]

    def forget(self, conversation: Conversation) -> None:
        """Its connection is closed."""
        self._identities.pop(conversation, None)

    def agree(
        self,
        session: Session,
        delivery: Delivery | None,
        feed: int,
        offers: Sequence[Transport],
        theirs: MasterKey | None,
    ) -> tuple[Delivery, Transport] | None:
        """By the first offer that will do; None: none. `delivery`: of the tracks that this client has set up; `theirs`:
        the key of its reports, without which nothing is encrypted."""
        for offer in offers:
            if offer.profile not in _PROFILES or offer.mode != "PLAY" or not _is_as_before(delivery, offer):
                continue
            if offer.multicast:
                found = None if offer.secure else self._by_group(delivery, feed, offer)
            elif offer.secure and theirs is None:
                found = None
            else:
                found = self._alone(session.peer, delivery, feed, offer, theirs if offer.secure else None)
            if found is not None:
                return found
        return None

    def _by_group(self, delivery: Delivery | None, feed: int, offer: Transport) -> tuple[Delivery, Transport] | None:
        group = self._group
        if group is None or delivery not in (None, group):
            return None
        setup = group.setups[track_name(feed)]
        rtp, rtcp = setup.paths
        assert isinstance(rtp, Path)
        assert isinstance(rtcp, Path)
        return group, Transport(
            offer.profile,
            multicast=True,
            destination=str(rtp.address[0]),
            port=(rtp.address[1], rtcp.address[1]),
            ttl=self._ttl,
            ssrc=setup.stream.ssrc,
        )

    def _alone(
        self, peer: Peer, delivery: Delivery | None, feed: int, offer: Transport, theirs: MasterKey | None
    ) -> tuple[Delivery, Transport] | None:
        if delivery is None:
            delivery = Delivery(self._new_key(), peer.host, (peer.host, peer.port))
        if delivery.multicast:
            return None
        by = self._by_channels if offer.lower == "TCP" else self._by_ports
        transport = by(peer, delivery, feed, offer, theirs)
        return None if transport is None else (delivery, transport)

    def _by_channels(
        self, peer: Peer, delivery: Delivery, feed: int, offer: Transport, theirs: MasterKey | None
    ) -> Transport | None:
        conversation = _conversation(peer)
        channels = conversation.packets.open(delivery.key, offer.interleaved)
        if channels is None:
            return None
        stream = self._set_up(delivery, feed, conversation, channels, theirs)
        numbers = channels[0].number, channels[1].number
        delivery.conversation = conversation
        delivery.name = _place(peer.host, peer.port)
        return Transport(offer.profile, "TCP", interleaved=numbers, ssrc=stream.ssrc)

    def _by_ports(
        self, peer: Peer, delivery: Delivery, feed: int, offer: Transport, theirs: MasterKey | None
    ) -> Transport | None:
        """Media go to the address that asks, whatever `destination` says: nobody can have somebody else flooded."""
        ports = self._ports.get(":" in peer.host)
        if ports is None or offer.client_port is None or not all(offer.client_port):
            return None
        rtp_port, rtcp_port = offer.client_port
        rtp = Path(delivery.key, ports.rtp, (peer.host, rtp_port), True)
        rtcp = rtp if offer.rtcp_mux else Path(delivery.key, ports.rtcp, (peer.host, rtcp_port), False)
        if not delivery.setups:
            delivery.name = _place(peer.host, rtp_port)
        stream = self._set_up(delivery, feed, _conversation(peer), (rtp, rtcp), theirs)
        return Transport(
            offer.profile,
            client_port=offer.client_port,
            server_port=(ports.ports[0], ports.ports[0] if offer.rtcp_mux else ports.ports[1]),
            ssrc=stream.ssrc,
            rtcp_mux=offer.rtcp_mux,
        )

    def _set_up(
        self, delivery: Delivery, feed: int, conversation: Conversation, paths: Paths, theirs: MasterKey | None
    ) -> StreamConfig:
        identity = self._identities.get(conversation, {}).pop(feed, None) or Identity.new(self._numbers)
        stream = self._stream(feed, identity)
        keys = None if theirs is None else Keys(identity.key, theirs)
        delivery.setups[track_name(feed)] = Setup(feed, stream, paths, keys)
        return stream

    def _stream(self, feed: int, identity: Identity) -> StreamConfig:
        return identity.given_to(self._forms[feed], repair=self._repair)

    def _make_group(self, to: TargetPaths) -> Delivery:
        group = Delivery(to.key, to.name, to.address, multicast=True)
        for feed, form in enumerate(self._forms):
            stream = self._stream(feed, Identity.new(self._numbers))
            group.setups[track_name(feed)] = Setup(feed, stream, (to.rtp(form.media), to.rtcp(form.media)))
        return group


def _is_as_before(delivery: Delivery | None, offer: Transport) -> bool:
    """All tracks of a delivery are encrypted, or none is."""
    setups = () if delivery is None else delivery.setups.values()
    return all((setup.keys is not None) == offer.secure for setup in setups)


def _conversation(peer: Peer) -> Conversation:
    assert isinstance(peer.connection, Conversation)
    return peer.connection


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
