"""Infers with kserve's REST client as it comes from PyPI.

usage: kserve_rest.py REST KEY ENDPOINT
"""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

ROWS = np.array([[0.1, -0.7, 0.25, 0.5], [1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.0, 0.0]], dtype=np.float32)


def request(endpoint, binary_in, binary_out, rows=ROWS):
    tensor = InferInput("x", list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows, binary_data=binary_in)
    parameters = {"binary_data_output": True} if binary_out else {}
    return InferRequest(model_name=endpoint, infer_inputs=[tensor], parameters=parameters)


async def talk(base, headers, endpoint):
    config = RESTConfig(protocol="v2", retries=1, timeout=30)
    async with InferenceRESTClient(config) as client:
        async def ask(*arguments, **options):
            # The client writes into the headers that it is given.
            return await client.infer(base, request(endpoint, *arguments, **options), endpoint, headers=dict(headers))

        labels = {}
        for binary_in in (False, True):
            for binary_out in (False, True):
                answer = await ask(binary_in, binary_out)
                label = next(output for output in answer.outputs if output.name == "label")
                labels[f"{binary_in} {binary_out}"] = label.as_numpy().tolist()
        try:
            await ask(False, False, rows=ROWS[:, :3].copy())
            refusal = [200, "answered"]
        except httpx.HTTPStatusError as error:
            refusal = [error.response.status_code, str(error)]
        return {
            "live": await client.is_server_live(base),
            "ready": await client.is_server_ready(base),
            "model": await client.is_model_ready(base, endpoint, headers=headers),
            "nobody": await client.is_model_ready(base, "nobody", headers=headers),
            "labels": labels,
            # The client drops the version of an answer.
            "answered": answer.model_name,
            "refusal": refusal,
        }


def main():
    rest, key, endpoint = sys.argv[1:]
    headers = {"authorization": f"Bearer {key}"}
    print(json.dumps(asyncio.run(talk(f"http://{rest}", headers, endpoint))))


if __name__ == "__main__":
    main()
