"""Audits a dataset version: draws rows through the data-pipeline and compares each cell with scikit-learn's own arrays.

usage: audit.py PIPELINE REGISTRY KEY DATASET_VERSION ROWS SEED
"""

import sys

import wlp_client
from sklearn.datasets import load_digits
from wlp.pipeline.v1 import pipeline_pb2, pipeline_pb2_grpc
from wlp.registry.v1 import dataset_pb2, dataset_pb2_grpc


def wrong_cells(sample, images, digits):
    """Every cell of the sample that differs from the source of record, as text, by row."""
    truth = {f"pixel_{index}": images[:, index] for index in range(images.shape[1])} | {"digit": digits}
    audited = [(place, name) for place, name in enumerate(sample.columns) if name in truth]
    wrong = {}
    for row in sample.rows:
        if len(images) <= row.source_row:
            wrong[row.source_row] = ["is no row of the source"]
            continue
        for place, name in audited:
            expected = float(truth[name][row.source_row])
            if float(row.values[place] or "nan") != expected:
                wrong.setdefault(row.source_row, []).append(f"{name}: {row.values[place]} is {expected:g}")
    return wrong, len(audited)


def main():
    pipeline_address, registry_address, key, name, rows, seed = sys.argv[1:]
    reader = pipeline_pb2_grpc.DatasetReadServiceStub(wlp_client.channel(pipeline_address, key))
    datasets = dataset_pb2_grpc.DatasetServiceStub(wlp_client.channel(registry_address, key))
    sample = reader.DrawAuditSample(
        pipeline_pb2.DrawAuditSampleRequest(name=name, rows=int(rows), seed=int(seed)), timeout=60
    )
    wrong, columns = wrong_cells(sample, *load_digits(return_X_y=True))
    audit = dataset_pb2.DatasetAudit(
        sample_digest=sample.digest,
        rows=len(sample.rows),
        cells=len(sample.rows) * columns,
        wrong_rows=len(wrong),
        method="each cell against sklearn.datasets.load_digits",
        wrong=[f"row {row}: {', '.join(cells)}" for row, cells in list(wrong.items())[:5]],
    )
    datasets.RecordDatasetAudit(dataset_pb2.RecordDatasetAuditRequest(name=name, audit=audit), timeout=60)
    print(f"{len(sample.rows)} rows, {audit.cells} cells, {len(wrong)} wrong rows")


if __name__ == "__main__":
    wlp_client.main(main)
