"""Sends texts to a model with string input and prints what tritonclient says of good and of bad requests.

usage: triton_strings.py GATEWAY KEY ENDPOINT
"""

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def main():
    address, key, endpoint = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    headers = {"authorization": f"Bearer {key}"}

    def ask(values, name="text", datatype="BYTES", headers=headers, model=endpoint):
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        return client.infer(model, [tensor], headers=headers).as_numpy("length")

    def refused(**changes):
        values = changes.pop("values", texts)
        try:
            ask(values, **changes)
        except InferenceServerException as refusal:
            return [refusal.status(), refusal.message()]
        return ["answered", ""]

    texts = np.array(["", "short", "größer", "\N{SNOWMAN}" * 1000], dtype=np.object_)
    metadata = client.get_model_metadata(endpoint, headers=headers)
    print(json.dumps({
        "lengths": ask(texts).tolist(),
        "datatype": metadata.inputs[0].datatype,
        "no key": refused(headers={}),
        "wrong key": refused(headers={"authorization": "Bearer wlp_guessed"}),
        "unknown model": refused(model="nobody"),
        "wrong name": refused(name="texts"),
        "wrong type": refused(values=np.zeros(2, dtype=np.float32), datatype="FP32"),
        "wrong rank": refused(values=np.array([["a", "b"]], dtype=np.object_)),
    }))


if __name__ == "__main__":
    main()
