"""An engine behind OpenAI's API: for people and programs that know no evolvent."""
