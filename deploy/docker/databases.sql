-- One database for each service; nobody reads another's tables.
CREATE DATABASE registry OWNER wlp;
CREATE DATABASE data_pipeline OWNER wlp;
CREATE DATABASE evaluator OWNER wlp;
CREATE DATABASE monitor OWNER wlp;
CREATE DATABASE gateway OWNER wlp;
