"""The bus on a Kafka cluster, shared by the processes of many machines."""
