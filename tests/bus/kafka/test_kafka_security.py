"""A broker that wants TLS and a password: the right ones work, wrong ones are one sentence each."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from bus.config import KafkaConfig, KafkaSecurityConfig
from bus.errors import BusError, Unreachable
from evolvent.broker.broker import Broker
from harness.broker import free_port
from tests.bus.contract.saying import control, take_all

PASSWORD = "a secret of the tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    address: str
    ca_file: Path
    other_ca_file: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")
    write_keystore(ca.issue_cert("127.0.0.1"), folder / "broker.pem")
    port, listener = free_port(), free_port()
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    broker = Broker(
        folder / "broker",
        port,
        settings={
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1},"
            f"SECURED://127.0.0.1:{listener}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},SECURED://127.0.0.1:{listener}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "SECURED:SASL_SSL",
            "listener.name.secured.ssl.keystore.type": "PEM",
            "listener.name.secured.ssl.keystore.location": str(folder / "broker.pem"),
            "listener.name.secured.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secured.plain.sasl.jaas.config": f'{login} user_me="{PASSWORD}";',
        },
    )
    try:
        broker.start()
        yield Secured(
            address=f"127.0.0.1:{listener}",
            ca_file=folder / "ca.pem",
            other_ca_file=folder / "other.pem",
        )
    finally:
        broker.kill()
        broker.wipe()


def write_keystore(certificate: trustme.LeafCert, path: Path) -> None:
    """Java reads keys in PKCS 8 only."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(b"".join((pem, *(part.bytes() for part in certificate.cert_chain_pems))))


def config(secured: Secured, ca_file: Path) -> KafkaConfig:
    security = KafkaSecurityConfig(
        protocol="SASL_SSL", mechanism="PLAIN", username="me", ca_file=ca_file
    )
    return KafkaConfig(bootstrap_servers=secured.address, app="secured", security=security)


def test_the_right_password_over_tls_works(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOLVENT_KAFKA_PASSWORD", PASSWORD)

    async def scenario() -> None:
        bus = config(secured, secured.ca_file).build(tmp_path, create=True)
        await bus.publish([control(0)])
        async with bus.subscribe(["control"], "group", "member") as subscription:
            await subscription.complete(await take_all(subscription, 1), [control(1)])
        assert bus.log.heads()["control", 0] == 2
        await bus.close()

    asyncio.run(scenario())


def test_a_wrong_password_is_one_sentence(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOLVENT_KAFKA_PASSWORD", "another")
    with pytest.raises(BusError, match="does not take this username and password") as refused:
        config(secured, secured.ca_file).build(tmp_path, create=True)
    check(refused.value)


def test_a_broker_with_an_unknown_certificate_is_one_sentence(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOLVENT_KAFKA_PASSWORD", PASSWORD)
    with pytest.raises(BusError, match="not signed by what ca_file names") as refused:
        config(secured, secured.other_ca_file).build(tmp_path, create=True)
    check(refused.value)


def test_a_certificate_that_cannot_be_read_is_one_sentence(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOLVENT_KAFKA_PASSWORD", PASSWORD)
    with pytest.raises(BusError, match="check ca_file") as refused:
        config(secured, tmp_path / "none.pem").build(tmp_path, create=True)
    check(refused.value)


def check(error: BusError) -> None:
    """Waiting would not mend it, and it does not tell the password."""
    assert not isinstance(error, Unreachable)
    assert "\n" not in str(error)
    assert PASSWORD not in str(error)
