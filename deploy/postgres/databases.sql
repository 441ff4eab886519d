-- One database for each service that keeps records; nobody reads another's tables. The gateway keeps files.
CREATE DATABASE registry OWNER wlp;
CREATE DATABASE data_pipeline OWNER wlp;
CREATE DATABASE evaluator OWNER wlp;
CREATE DATABASE monitor OWNER wlp;
