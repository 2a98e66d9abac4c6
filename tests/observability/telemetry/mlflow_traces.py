"""What an MLflow server has of an experiment, as JSON. Runs in MLflow's own environment.

python mlflow_traces.py SERVER EXPERIMENT
"""

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    mlflow: Any = import_module("mlflow")
    mlflow.set_tracking_uri(sys.argv[1])
    traces = mlflow.search_traces(locations=[sys.argv[2]], return_type="list", max_results=5000)
    found = [
        {
            "state": str(trace.info.state.value),
            "usage": trace.info.token_usage,
            "spans": [
                {
                    "name": span.name,
                    "type": span.span_type,
                    "attributes": dict(span.attributes),
                    "links": len(span.links),
                }
                for span in trace.data.spans
            ],
        }
        for trace in traces
    ]
    print(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
