//! What a main needs: configuration, telemetry, identity layers, peers, tasks, clock, serving.
