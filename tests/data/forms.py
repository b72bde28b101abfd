"""The same stored values in any transfer syntax, for the tests of pixels."""

from functools import partial

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.encaps import encapsulate


def _lossless_jpeg(predictor, pixels, bits):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=predictor, bitspersample=bits)


ENCODERS = {
    uid.RLELossless: None,  # pydicom's own
    uid.JPEGLosslessSV1: partial(_lossless_jpeg, 1),
    uid.JPEGLossless: partial(_lossless_jpeg, 4),
    uid.JPEGLSLossless: lambda pixels, bits: imagecodecs.jpegls_encode(pixels),
    uid.JPEG2000Lossless: lambda pixels, bits: imagecodecs.jpeg2k_encode(
        pixels, codecformat="j2k", reversible=True, bitspersample=bits
    ),
    uid.HTJ2KLossless: lambda pixels, bits: imagecodecs.htj2k_encode(pixels, reversible=True),
}


def uncompressed(made, syntax, pixels):
    """Put `pixels` into a data set as `syntax` stores them."""
    big = syntax == uid.ExplicitVRBigEndian
    made.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    made["PixelData"].VR = "OW"
    made["PixelData"].is_undefined_length = False
    made.file_meta.TransferSyntaxUID = syntax
    return made


def compressed(made, syntax, pixels):
    """Encode `pixels` into a data set that describes them."""
    uncompressed(made, uid.ExplicitVRLittleEndian, np.ascontiguousarray(pixels))
    if syntax == uid.RLELossless:
        made.compress(syntax, generate_instance_uid=False)
        return made
    frame = bytes(ENCODERS[syntax](np.ascontiguousarray(pixels), int(made.BitsStored)))
    made.PixelData = encapsulate([frame + bytes(len(frame) % 2)])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = syntax
    return made
