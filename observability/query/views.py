"""What people ask first of a log, as views over its tables. Knows no Arrow."""

VIEWS: dict[str, tuple[str, str]] = {
    "versions": (
        "Every version: how long it took, what it learned from, what it reached.",
        """
        SELECT version, w.parent, w.created_at,
               date_diff('millisecond', p.created_at, w.created_at) / 1000 AS seconds,
               w.trained, w.dropped, w.metrics['samples']::BIGINT AS samples,
               w.metrics['tokens']::BIGINT AS tokens, w.metrics['reward'] AS reward,
               e.seen, e.held_out
        FROM weights w
        LEFT JOIN (SELECT id, created_at FROM weights) p ON p.id = w.parent_id
        LEFT JOIN evaluations e ON e.weights = w.id
        ORDER BY version
        """,
    ),
    "learned": (
        "Which version consumed a judgment; `staleness` in versions behind its parent.",
        """
        SELECT version, j.id AS judgment, j.attempt, j.task, j.family, j.level, j.success,
               w.parent - j.oldest_version AS staleness
        FROM (SELECT version, parent, range.partition AS partition,
                     unnest(generate_series(range.first, range.until - 1)) AS place
              FROM (SELECT version, parent, unnest(places) AS range FROM weights)
              WHERE range.topic = 'judgments') w
        JOIN judgments j USING (partition, place)
        """,
    ),
    "success": (
        "How often samples were right, by the version that granted the task, and level.",
        """
        SELECT granted_version AS version, family, level, count(*) AS tasks,
               sum(counted)::BIGINT AS samples, sum(correct)::BIGINT AS correct,
               sum(correct) / sum(counted) AS success
        FROM judgments GROUP BY ALL HAVING sum(counted) > 0 ORDER BY ALL
        """,
    ),
    "learnability": (
        "The mean of p (1 - p) over tasks, p their success; `sometimes`: solved not always.",
        """
        SELECT granted_version AS version, family, level, count(*) AS tasks,
               avg(success * (1 - success)) AS learnability,
               avg((correct > 0 AND correct < counted)::INTEGER) AS sometimes
        FROM judgments WHERE counted > 0 GROUP BY ALL ORDER BY ALL
        """,
    ),
    "staleness": (
        "How many versions old it was what a version consumed.",
        """
        SELECT version, count(*) AS judgments, avg(staleness) AS mean, max(staleness) AS most
        FROM learned GROUP BY version ORDER BY version
        """,
    ),
    "unique_tasks": (
        "How many of the tasks of a level were asked once only.",
        """
        SELECT family, level, count(*) AS tasks, count(DISTINCT prompt) AS prompts,
               count(DISTINCT prompt) / count(*) AS share
        FROM tasks GROUP BY ALL ORDER BY ALL
        """,
    ),
    "reward_by_judge": (
        "What each judge gave, those that a verdict was combined of too.",
        """
        SELECT judge, count(*) AS verdicts, avg(reward) FILTER (known) AS reward,
               avg((reward >= 1)::INTEGER) FILTER (known) AS correct,
               count(*) FILTER (NOT known) AS unknown
        FROM (SELECT judge, reward, known FROM verdicts
              UNION ALL
              SELECT part.judge, part.reward, part.known
              FROM (SELECT unnest(parts) AS part FROM verdicts))
        GROUP BY judge ORDER BY judge
        """,
    ),
    "changes": (
        "What changed on the held-out suites between any two versions, `earlier` and `later`.",
        """
        SELECT a.weights_version AS earlier, b.weights_version AS later, suite, level,
               a.accuracy AS before, b.accuracy AS after, b.accuracy - a.accuracy AS gained
        FROM scores a JOIN scores b USING (suite, level)
        WHERE a.weights_version < b.weights_version ORDER BY ALL
        """,
    ),
}
"""Of every view what it says, and its SELECT."""
