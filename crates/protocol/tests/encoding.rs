//! Messages to bytes and back: the same bytes as prost's own encoding, and no copy of large fields.

use bytes::Bytes;
use milvus_protocol::common::{KeyValuePair, Status};
use milvus_protocol::milvus::{InsertRequest, SearchResults};
use milvus_protocol::schema::{
    DoubleArray, FieldData, FloatArray, IDs, LongArray, ScalarField, SearchResultData, VectorField,
    field_data, i_ds, scalar_field, vector_field,
};
use milvus_protocol::{
    DEFAULT_SEGMENT_THRESHOLD, SegmentedBuf, decode_message, encode_grpc_frame, packed_bytes,
    packed_iter, packed_values,
};
use proptest::prelude::*;
use prost::Message;

fn vector_column(data: Bytes, dim: i64) -> FieldData {
    FieldData {
        field_name: "vector".into(),
        field: Some(field_data::Field::Vectors(VectorField {
            dim,
            data: Some(vector_field::Data::FloatVector(FloatArray { data })),
        })),
        ..FieldData::default()
    }
}

fn key_column(keys: Vec<i64>) -> FieldData {
    FieldData {
        field_name: "id".into(),
        field: Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(LongArray { data: keys })),
        })),
        ..FieldData::default()
    }
}

fn insert(columns: Vec<FieldData>) -> InsertRequest {
    InsertRequest {
        db_name: "default".into(),
        collection_name: "books".into(),
        fields_data: columns,
        num_rows: 3,
        ..InsertRequest::default()
    }
}

fn framed(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(
        u32::try_from(message.encoded_len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    frame.extend(message.encode_to_vec());
    frame
}

fn within(part: &[u8], whole: &[u8]) -> bool {
    whole.as_ptr_range().contains(&part.as_ptr())
        && part.as_ptr_range().end <= whole.as_ptr_range().end
}

#[test]
fn a_vector_column_deep_in_a_message_is_sent_from_where_it_stands() {
    let values: Vec<f32> = (0..50_000_u16).map(f32::from).collect();
    let address = values.as_ptr().cast::<u8>();
    let request = insert(vec![
        key_column(vec![1, 2, 3]),
        vector_column(packed_bytes(values), 128),
        key_column(vec![4, 5, 6]),
    ]);
    let frame = encode_grpc_frame(&request, usize::MAX).unwrap();
    assert_eq!(frame.segments().len(), 3);
    assert_eq!(frame.segments()[1].as_ptr(), address);
    assert_eq!(frame.to_bytes(), framed(&request));
    assert_eq!(frame.message_len(), request.encoded_len());
}

#[test]
fn a_clone_shares_the_segments() {
    let request = insert(vec![vector_column(vec![7; 100_000].into(), 8)]);
    let frame = encode_grpc_frame(&request, usize::MAX).unwrap();
    let again = frame.clone();
    assert_eq!(frame.segments().as_ptr(), again.segments().as_ptr());
}

#[test]
fn the_received_vectors_and_scores_are_slices_of_what_was_received() {
    let results = SearchResults {
        status: Some(Status::default()),
        results: Some(SearchResultData {
            num_queries: 1,
            top_k: 1_000,
            fields_data: vec![vector_column(vec![3; 4 * 8 * 1_000].into(), 8)],
            scores: packed_bytes(vec![0.5_f32; 1_000]),
            ids: Some(IDs {
                id_field: Some(i_ds::IdField::IntId(LongArray {
                    data: (0..1_000).collect(),
                })),
            }),
            ..SearchResultData::default()
        }),
        ..SearchResults::default()
    };
    let received = Bytes::from(results.encode_to_vec());
    let decoded: SearchResults = decode_message(received.clone()).unwrap();
    assert_eq!(decoded, results);
    let data = decoded.results.unwrap();
    assert!(within(&data.scores, &received));
    let Some(field_data::Field::Vectors(vectors)) = &data.fields_data[0].field else {
        panic!("not a vector column");
    };
    let Some(vector_field::Data::FloatVector(vectors)) = &vectors.data else {
        panic!("not a float vector");
    };
    assert!(within(&vectors.data, &received));
}

#[test]
fn a_message_over_the_limit_is_refused_with_both_lengths() {
    let request = insert(vec![vector_column(vec![0; 1_000].into(), 8)]);
    let length = request.encoded_len();
    let error = encode_grpc_frame(&request, length - 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the encoded InsertRequest has {length} bytes, more than the limit of {} bytes; send it in smaller \
             parts, or raise the limit here and at the server",
            length - 1
        )
    );
    assert!(encode_grpc_frame(&request, length).is_ok());
}

#[test]
fn floats_sent_value_by_value_are_refused_with_a_hint() {
    // Field 1 with wire type 5: one float outside of a packed array.
    let unpacked = [0x0d, 0, 0, 0x80, 0x3f];
    let error = decode_message::<FloatArray>(Bytes::copy_from_slice(&unpacked)).unwrap_err();
    assert_eq!(error.message(), "FloatArray");
    let text = error.to_string();
    assert!(
        text.starts_with("the 5 bytes received are not a FloatArray: "),
        "{text}"
    );
    assert!(
        text.ends_with("value by value instead of packed?"),
        "{text}"
    );
}

#[test]
fn truncated_bytes_are_refused_without_that_hint() {
    let request = insert(vec![key_column(vec![1])]).encode_to_vec();
    let error =
        decode_message::<InsertRequest>(Bytes::copy_from_slice(&request[..request.len() - 1]))
            .unwrap_err();
    assert!(!error.to_string().contains("packed"), "{error}");
}

#[test]
fn debug_of_an_encoded_message_shows_nothing_of_it() {
    let pair = KeyValuePair {
        key: "password".into(),
        value: "hunter2".into(),
    };
    let frame = encode_grpc_frame(&pair, usize::MAX).unwrap();
    assert_eq!(
        format!("{frame:?}"),
        "EncodedMessage { segments: 1, len: 24 }"
    );
}

#[test]
fn aligned_values_are_borrowed_and_others_copied() {
    let bytes = packed_bytes(vec![1.0_f32, 2.0, 3.0]);
    let values = packed_values::<f32>(&bytes).unwrap();
    assert_eq!(*values, [1.0, 2.0, 3.0]);
    assert_eq!(values.as_ptr().cast(), bytes.as_ptr());

    // Of two starts one byte apart, at least one is not aligned.
    let twice = [&bytes[..], &[0], &bytes[..]].concat();
    for start in [0, bytes.len() + 1] {
        let part = &twice[start..start + bytes.len()];
        assert_eq!(*packed_values::<f32>(part).unwrap(), [1.0, 2.0, 3.0]);
    }
}

#[test]
fn an_odd_number_of_bytes_is_no_array() {
    let error = packed_values::<f64>(&[0; 12]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "12 bytes are no array of f64, which has 8 bytes per value"
    );
    assert!(packed_iter::<f32>(&[0; 3]).is_err());
}

#[test]
fn arrays_take_values_over_and_give_them_back() {
    let floats = FloatArray::from(vec![0.1_f32, 0.2]);
    assert_eq!(
        floats.data,
        [0.1_f32.to_le_bytes(), 0.2_f32.to_le_bytes()].concat()
    );
    assert_eq!(*floats.values().unwrap(), [0.1, 0.2]);
    let doubles = DoubleArray::from(vec![0.1_f64]);
    assert_eq!(doubles.data, &0.1_f64.to_le_bytes()[..]);
    assert_eq!(*doubles.values().unwrap(), [0.1]);
}

/// The official declaration of `FloatArray`, to compare the bytes with.
#[derive(Clone, PartialEq, Message)]
struct OfficialFloatArray {
    #[prost(float, repeated, tag = "1")]
    data: Vec<f32>,
}

/// The official declaration of `DoubleArray`.
#[derive(Clone, PartialEq, Message)]
struct OfficialDoubleArray {
    #[prost(double, repeated, tag = "1")]
    data: Vec<f64>,
}

fn column() -> impl Strategy<Value = FieldData> {
    let length = prop_oneof![
        0..50_usize,
        DEFAULT_SEGMENT_THRESHOLD - 3..DEFAULT_SEGMENT_THRESHOLD + 3,
        0..60_000_usize
    ];
    prop_oneof![
        (length, any::<u8>())
            .prop_map(|(length, byte)| vector_column(vec![byte; length].into(), 8)),
        proptest::collection::vec(any::<i64>(), 0..3_000).prop_map(key_column),
    ]
}

proptest! {
    #[test]
    fn the_segments_together_are_the_plain_encoding(columns in proptest::collection::vec(column(), 0..6)) {
        let request = insert(columns);
        let frame = encode_grpc_frame(&request, usize::MAX).unwrap();
        prop_assert_eq!(frame.len(), frame.segments().iter().map(Bytes::len).sum::<usize>());
        prop_assert!(frame.segments().iter().all(|segment| !segment.is_empty()));
        prop_assert_eq!(frame.to_bytes(), framed(&request));
    }

    #[test]
    fn any_threshold_and_any_expectation_give_the_same_bytes(
        columns in proptest::collection::vec(column(), 0..4),
        threshold in 0..10_000_usize,
        expected in 0..100_000_usize,
    ) {
        let request = insert(columns);
        let mut buf = SegmentedBuf::with_threshold(expected, threshold);
        request.encode(&mut buf).unwrap();
        prop_assert_eq!(buf.len(), request.encoded_len());
        prop_assert_eq!(buf.into_segments().concat(), request.encode_to_vec());
    }

    #[test]
    fn bytes_substitutions_have_the_official_bytes(
        floats in proptest::collection::vec(any::<f32>(), 0..100),
        doubles in proptest::collection::vec(any::<f64>(), 0..100),
    ) {
        let official = OfficialFloatArray { data: floats.clone() };
        prop_assert_eq!(FloatArray::from(floats).encode_to_vec(), official.encode_to_vec());
        let official = OfficialDoubleArray { data: doubles.clone() };
        prop_assert_eq!(DoubleArray::from(doubles).encode_to_vec(), official.encode_to_vec());
    }

    #[test]
    fn values_come_back_at_any_alignment(values in proptest::collection::vec(any::<f64>(), 0..40), offset in 0..8_usize) {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(&packed_bytes(values.clone()));
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let read = packed_values::<f64>(&bytes[offset..]).unwrap();
        prop_assert_eq!(bits(&read), bits(&values));
        let one_by_one: Vec<f64> = packed_iter(&bytes[offset..]).unwrap().collect();
        prop_assert_eq!(bits(&one_by_one), bits(&values));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_message::<SearchResults>(bytes.clone().into());
        let _ = decode_message::<InsertRequest>(bytes.into());
    }
}
