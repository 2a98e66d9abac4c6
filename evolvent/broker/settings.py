"""The settings of a one-node Apache Kafka: ready in two seconds, small, back soon after a kill.
Knows no process.
"""

JAVA_OPTIONS = (
    "-Xms256m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # The compressors call sun.misc.Unsafe, of which Java 25 would warn at every start.
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
)


def server_settings(log: str, port: int, proxied: tuple[int, int] | None = None) -> dict[str, str]:
    """KRaft, broker and controller in one process, reachable from this machine only.

    The controller listens at `port` + 1. `proxied` adds a listener at its first port, which is
    said to be at its second. `log` is relative to where the broker runs: Kafka reads
    this file as Latin-1, in which not every path can be written.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{port + 1}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": log,
        "auto.create.topics.enable": "false",
        # One node has one copy of everything.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A run that rests for longer than Kafka's seven days must still find its positions.
        "offsets.retention.minutes": "5256000",
        "group.initial.rebalance.delay.ms": "0",
        # A writer that died inside a transaction holds readers up until it is looked for.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # After a kill the controller waits for the old registration to expire.
        "broker.session.timeout.ms": "1500",
        "broker.heartbeat.interval.ms": "300",
        "num.network.threads": "1",
        "num.io.threads": "2",
        "log.cleaner.dedupe.buffer.size": "2097152",
    }
    if proxied is not None:
        settings["listeners"] += f",PROXIED://127.0.0.1:{proxied[0]}"
        settings["advertised.listeners"] += f",PROXIED://127.0.0.1:{proxied[1]}"
        settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
    return settings


def log4j_properties() -> str:
    """Warnings and errors into broker.log, 10 MB at most and one older file beside it."""
    return """\
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=broker.log
appender.file.filePattern=broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""
