"""What turns texts into vectors: the protocol that the memory asks for, and three that fulfil it.

============================  =============================  ==========================================================
``packaged()``                ``aiomemdb[embeddings]``       256 numbers, CPU, weights in a package: nothing downloaded
``sentence_transformer(…)``   ``sentence-transformers``      any model of that library, loaded by you or by name
``openai_compatible(…)``      ``aiomemdb[embeddings-http]``  any HTTP endpoint that answers as OpenAI's embeddings do
============================  =============================  ==========================================================

The memory calls no model and no network by itself: an embedder is handed to it, or there is none::

    async with aiomemdb.Memory.open("agent.db", embedder=aiomemdb.embedders.packaged()) as memory:
        ...
"""

from .openai import openai_compatible
from .protocol import Embedder
from .sentence_transformers import sentence_transformer
from .wordllama import packaged

__all__ = ["Embedder", "openai_compatible", "packaged", "sentence_transformer"]
