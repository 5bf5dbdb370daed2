"""Any transformer folder by torch and transformers: GPT-2, T5 encoders, XLNet and the rest."""

import os

import numpy as np
import torch
import transformers

from workers.component import Tally
from workers.models.batches import Ints
from workers.models.model_folder import ModelFolder
from workers.models.text_model import Hidden, TextModel


class TorchTextModel(TextModel):
    """A folder's model in torch, in inference mode."""

    def __init__(self, folder: ModelFolder, *, max_tokens: int, tally: Tally) -> None:
        super().__init__(folder, max_tokens=max_tokens, tally=tally)
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
        model = transformers.AutoModel.from_pretrained(folder.path, local_files_only=True)
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        self._model = model.eval().float()
        self.hidden = int(model.config.hidden_size)
        self.pad = int(model.config.pad_token_id or 0)

    def hidden_states(self, tokens: Ints, mask: Ints) -> Hidden:
        """Return the last layer."""
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask)
            )
        return np.asarray(output.last_hidden_state.numpy(), np.float32)
